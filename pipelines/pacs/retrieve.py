"""One series by WADO-RS, streamed to the disk within limits, whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests

from pipelines.machine.files import sync
from pipelines.pacs.identity import IdentityError, identify
from pipelines.pacs.multipart import MultipartError, boundary_of, pieces
from pipelines.pacs.web import Bounds, OutOfBoundsError, Session
from pipelines.problems import CommandError, causes

_CHUNK = 2**16  # bytes
_OFTEN = 2**25  # bytes between looks at the disk
_NAME = 40
_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of one series.

    Args:
        answer: of all objects together, as they come.
        object_bytes: of one object.
        objects: how many.
    """

    answer: Bounds
    object_bytes: int = 512_000_000
    objects: int = 20_000


class RetrieveError(Exception):
    """A series did not come, or not in full; the message is a fixed phrase."""


class Retriever:
    """Fetches series of one service.

    Args:
        url: of the DICOMweb service; a user's name and password come from `~/.netrc`.
        timeout: seconds without a byte.
        limits: of a series.
        free_gb: of the disk that stay free.
    """

    def __init__(self, url: str, *, timeout: float, limits: Limits, free_gb: float) -> None:
        self.url, self.timeout, self.limits, self.free_gb = url.rstrip("/"), timeout, limits, free_gb
        self.session = Session(limits.answer)

    def fetch(self, study: str, series: str, folder: Path, *, number: int | None) -> None:
        """Fetch a series into a folder, which takes the place of an earlier one.

        Args:
            study: its StudyInstanceUID.
            series: its SeriesInstanceUID.
            folder: where to.
            number: how many images the service says there are; None: it does not say.

        Raises:
            RetrieveError: it did not come, or not all of it; the folder is as it was.
            CommandError: the disk cannot be written to.
        """
        partial = folder.with_name(f".{folder.name}")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(mode=0o700)
            self._retrieve(study, series, partial)
            count = len(list(partial.iterdir()))
            if count == 0 or (number is not None and count < number):
                msg = "images missing"
                raise RetrieveError(msg)
            for path in (
                *partial.iterdir(),
                partial,
            ):  # not before: most of what is bad never gets here
                sync(path)
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
            sync(folder.parent)
        except (RetrieveError, CommandError):
            raise
        except OSError as error:
            if isinstance(error, requests.RequestException):
                raise RetrieveError(_phrase(error)) from error
            msg = (
                f"the folder that series are fetched to cannot be written to ({error.strerror or type(error).__name__})"
            )
            raise CommandError(msg) from error
        except Exception as error:  # a stranger's answer makes libraries raise almost anything
            raise RetrieveError(_phrase(error)) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _retrieve(self, study: str, series: str, folder: Path) -> None:
        address = f"{self.url}/studies/{study}/series/{series}"
        with self.session.get(address, headers={"Accept": _ACCEPT}, stream=True, timeout=self.timeout) as response:
            response.raise_for_status()
            boundary = boundary_of(response.headers.get("Content-Type", ""))
            incoming = pieces(response.iter_content(_CHUNK), boundary)
            for count in range(self.limits.objects + 1):
                path = folder / f".{count}"
                with path.open("xb") as file:
                    digest = self._write(incoming, file)
                if not digest:
                    path.unlink()
                    return
                if identify(path).series != series:
                    msg = "images of another series"
                    raise RetrieveError(msg)
                path.chmod(0o600)
                path.replace(folder / f"{digest[:_NAME]}.dcm")  # by content: two images of one UID stay two
        msg = "too many objects"
        raise RetrieveError(msg)

    def _write(self, incoming: Iterator[bytes | None], file: BinaryIO) -> str:
        """Write the next object; its SHA-256, or "" where there is no other."""
        digest, size, looked = hashlib.sha256(), 0, 0
        for piece in incoming:
            if piece is None:
                return digest.hexdigest()
            size += len(piece)
            if size > self.limits.object_bytes:
                msg = "too large"
                raise RetrieveError(msg)
            if size - looked > _OFTEN:
                looked = size
                if shutil.disk_usage(Path(file.name).parent).free / 1e9 < self.free_gb:
                    msg = "no room on the disk"
                    raise RetrieveError(msg)
            digest.update(piece)
            file.write(piece)
        return ""


def _phrase(error: BaseException) -> str:
    """Why a series did not come, in words of ours: an error's own may hold what the service wrote."""
    for cause in causes(error):
        if isinstance(cause, OutOfBoundsError | IdentityError | MultipartError):
            return str(cause)
        if isinstance(cause, requests.HTTPError) and cause.response is not None:
            return f"HTTP {cause.response.status_code}"
    return type(error).__name__
