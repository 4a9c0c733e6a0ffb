"""Series fetched by DICOMweb into a folder, each whole or not at all, for the gate to judge like any other."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.machine.files import sync
from pipelines.pacs.targets import web_client
from pipelines.problems import CommandError

if TYPE_CHECKING:
    from pydicom import Dataset

SPOOL = "spool"
_STUDY, _SERIES, _NUMBER = "0020000D", "0020000E", "00201209"  # NumberOfSeriesRelatedInstances
_NAME = 20


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What a look at an archive gave.

    Args:
        known: series that were in the spool already, complete.
        fetched: series that are in it now.
        failed: series that could not be fetched, or not all of them.
    """

    known: int = 0
    fetched: int = 0
    failed: int = 0


def is_web(source: str) -> bool:
    """Is this the address of a DICOMweb service?"""
    return source.startswith(("http://", "https://"))


def fetch(url: str, spool: Path, *, modalities: Iterable[str], free_gb: float, timeout: float = 60) -> Fetched:
    """Bring every series of some modalities into `spool`, one folder each, named by hashes of the UIDs.

    QIDO-RS and WADO-RS, DICOM PS3.18 sections 10.4 and 10.6; pixels come as they are stored.

    Args:
        url: of the DICOMweb service; a user's name and password come from `~/.netrc`.
        spool: where to.
        modalities: MR, CT, ...
        free_gb: of the disk that stay free.
        timeout: seconds.

    Raises:
        CommandError: the service cannot be asked, or the disk is full.
    """
    import requests

    client = web_client(url, timeout=timeout)
    known = fetched = failed = 0
    spool.mkdir(parents=True, exist_ok=True)
    try:
        found = [(modality, one) for modality in modalities for one in _series(client, modality)]
    except requests.RequestException as error:
        msg = f"the DICOMweb service cannot be asked for series ({type(error).__name__})"
        raise CommandError(msg) from error
    for _, one in found:
        study, series, number = (_value(one, tag) for tag in (_STUDY, _SERIES, _NUMBER))
        folder = spool / _hashed(str(series))
        if folder.is_dir() and number is not None and len(list(folder.iterdir())) == int(number):
            known += 1
            continue
        if shutil.disk_usage(spool).free / 1e9 < free_gb:
            msg = f"less than {free_gb:g} GB are free where series are fetched to; make room and start again"
            raise CommandError(msg)
        try:
            whole = _fetch_one(client, str(study), str(series), folder, number)
        except (requests.RequestException, ValueError):
            whole = False
        fetched, failed = fetched + whole, failed + (not whole)
    return Fetched(known=known, fetched=fetched, failed=failed)


def _series(client: Any, modality: str) -> list[dict[str, Any]]:
    filters = {"Modality": modality}
    fields = ["NumberOfSeriesRelatedInstances"]
    found: list[dict[str, Any]] = client.search_for_series(search_filters=filters, fields=fields, get_remaining=True)
    return found


def _fetch_one(client: Any, study: str, series: str, folder: Path, number: Any) -> bool:
    """Fetch one series; False where fewer images came than the service said that there are."""
    partial = folder.with_name(f".{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    images: Iterator[Dataset] = client.iter_series(study, series, media_types=(("application/dicom", "*"),))
    count = 0
    for image in images:
        count += 1
        path = partial / f"{_hashed(str(image.SOPInstanceUID))}.dcm"
        image.save_as(path, enforce_file_format=True)
        sync(path)
    if count == 0 or (number is not None and count < int(number)):
        shutil.rmtree(partial)
        return False
    sync(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    sync(folder.parent)
    return True


def _value(found: dict[str, Any], tag: str) -> Any:
    values = found.get(tag, {}).get("Value")
    return values[0] if values else None


def _hashed(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:_NAME]
