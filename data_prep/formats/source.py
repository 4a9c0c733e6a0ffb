"""`Source`: the bytes of one file, on disk or in a zip archive."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, cast

# what reading a file or a member of an archive may raise
UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Source:
    """One file; nothing is ever unpacked to disk.

    Args:
        path: a file, or the archive that holds it.
        member: its name within a zip archive; None for a file on disk.
    """

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        """`scan/IM1`, or `study.zip/scan/IM1`."""
        return str(self.path) if self.member is None else f"{self.path}/{self.member}"

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.name if self.member is None else self.member.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """Where it lies: a folder, or a folder within an archive."""
        return str(self).rpartition("/")[0] if self.member is not None else self.path.parent.as_posix()

    @property
    def size(self) -> int:
        """Bytes, uncompressed."""
        status = self.path.stat()
        if self.member is None:
            return status.st_size
        return _archive(self.path, status.st_mtime_ns).getinfo(self.member).file_size

    def open(self) -> BinaryIO:
        """A stream of its bytes, from the start."""
        if self.member is None:
            return self.path.open("rb")
        return cast(BinaryIO, _archive(self.path, self.path.stat().st_mtime_ns).open(self.member))

    def read(self, limit: int = -1) -> bytes:
        """Its bytes, at most `limit` of them where that is not negative."""
        with self.open() as stream:
            return stream.read(limit)


@lru_cache(maxsize=2)
def _archive(path: Path, changed: int) -> zipfile.ZipFile:
    """An archive that stays open while it is one of the last two that were asked for, and does not change."""
    return zipfile.ZipFile(path)


def reason(error: BaseException) -> str:
    """Why a file cannot be read, in words."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
