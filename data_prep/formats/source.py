"""`Source`: the bytes of one file, on disk or in a zip archive."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, cast

from data_prep.errors import InputError

# what reading a file or a member of an archive may raise
UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, KeyError)


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
        return str(self).rpartition("/")[0] if self.member is not None else (os.path.dirname(self.path) or ".")

    @property
    def size(self) -> int:
        """Bytes, uncompressed."""
        status = self.path.stat()
        if self.member is None:
            return status.st_size
        return _archive(self.path, status.st_mtime_ns).getinfo(self.member).file_size

    @property
    def is_file(self) -> bool:
        """Is it there, and a regular file?"""
        if self.member is None:
            return self.path.is_file()
        try:
            return self.size >= 0
        except UNREADABLE:
            return False

    def beside(self, name: str) -> Source:
        """The file called `name` in the same folder; it need not be there."""
        if self.member is None:
            return Source(self.path.with_name(name))
        return Source(self.path, self.member[: len(self.member) - len(self.name)] + name)

    def open(self) -> BinaryIO:
        """A stream of its bytes, from the start.

        Raises:
            OSError: also where it is no regular file: a pipe or a device might never end.
        """
        if self.member is None:
            return cast(BinaryIO, open(self.path, "rb", opener=_open_regular))
        return cast(BinaryIO, _archive(self.path, self.path.stat().st_mtime_ns).open(self.member))

    def read(self, limit: int = -1) -> bytes:
        """Its bytes, at most `limit` of them where that is not negative."""
        with self.open() as stream:
            return stream.read(limit)


def is_kept(source: Source) -> bool:
    """Is it a file of its own, or a link into the store of a data set's manager above it?

    The stores are those of git-annex and DataLad (also of a data set within another one), DVC and the Hugging Face Hub.
    Other links may lead anywhere, and are not followed.
    """
    if source.member is not None or not source.path.is_symlink():
        return True
    target, place = source.path.resolve(), source.path.parent.resolve()
    return any(_in_store(target, root, place) for root in (place, *place.parents))


def _in_store(target: Path, root: Path, place: Path) -> bool:
    """Does a link in `place` lead to a store of the data set at `root`?"""
    if not target.is_relative_to(root):
        return False
    inner = target.relative_to(root).as_posix()
    if inner.startswith(".git/"):
        return "/annex/objects/" in f"/{inner}"
    return inner.startswith(".dvc/cache/") or (inner.startswith("blobs/") and place.is_relative_to(root / "snapshots"))


def _open_regular(path: str, flags: int) -> int:
    """Open without waiting for a pipe's other end, and keep open what is a regular file."""
    number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(0, "not a regular file", path)
    return number


@lru_cache(maxsize=2)
def _archive(path: Path, changed: int) -> zipfile.ZipFile:
    """An archive that stays open while it is one of the last two that were asked for, and does not change."""
    archive = zipfile.ZipFile(path)
    for member in archive.infolist():
        if "\\" in member.filename:
            archive.NameToInfo.setdefault(member_name(member), member)
    return archive


def member_name(member: zipfile.ZipInfo) -> str:
    r"""A member's name with `/` between its folders; archives made on Windows may have `\` there (APPNOTE 4.4.17.1)."""
    return member.filename.replace("\\", "/")


def reason(error: BaseException) -> str:
    """Why a file cannot be read, in words."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def unreadable(source: Source, error: BaseException) -> InputError:
    """What one of `UNREADABLE` says of a file.

    Returns:
        MISSING_FILE; TRUNCATED where the content is damaged; UNREADABLE where the disk, the network or a permission is
        at fault: another attempt may succeed.
    """
    name = source.name
    if isinstance(error, FileNotFoundError | NotADirectoryError | KeyError):
        if source.path.parent.is_dir():
            return InputError(str(source), "MISSING_FILE", f"there is no such file ({name})")
        return InputError(str(source), "UNREADABLE", f"the folder of {name} is not there; is its drive connected?")
    damaged = isinstance(error, EOFError | zlib.error | zipfile.BadZipFile)
    if damaged or (isinstance(error, OSError) and error.errno is None):  # gzip and bz2 raise OSError without a number
        return InputError(str(source), "TRUNCATED", f"{name} ends too early or is damaged ({reason(error)})")
    return InputError(str(source), "UNREADABLE", f"{name} cannot be opened ({reason(error)})")
