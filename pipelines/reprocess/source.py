"""Is the source still there? A share that was unmounted, or gives I/O errors, is no case's fault."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from pipelines.problems import causes

# what disks, shares and networks say when they fail; not: no such file, no permission
_FAILING = frozenset(
    getattr(errno, name)
    for name in (
        "EIO", "ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ECONNRESET",
        "ECONNABORTED", "ESHUTDOWN", "EREMOTEIO", "ENODEV", "ENXIO", "ENOMEDIUM", "EBADFD", "ENOLINK", "ECOMM",
    )
    if hasattr(errno, name)
)  # fmt: skip


@dataclass(frozen=True)
class Root:
    """A source as it was when a run began.

    Args:
        path: of the folder or file.
        device: that it lies on: another one is another file system at the same place, such as none at all.
        empty: a folder without anything in it, from the beginning.
    """

    path: Path
    device: int
    empty: bool = False

    @classmethod
    def of(cls, path: Path) -> Root:
        """The source at a path; raises `OSError` where it cannot be looked at."""
        path = path.resolve()
        return cls(path, path.stat().st_dev, path.is_dir() and _is_empty(path))

    def fault(self) -> str:
        """Why nothing of it can be read any more; "" where it is there."""
        try:
            status = self.path.stat()
            empty = self.path.is_dir() and _is_empty(self.path)
        except OSError as error:
            return f"the source cannot be read any more: {error.strerror}"
        if status.st_dev != self.device:
            return "another file system is where the source was"
        return "the source is empty now" if empty and not self.empty else ""


def _is_empty(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def is_failing(error: BaseException) -> bool:
    """Does an error say that the disk or the way to it fails, and nothing of the file?

    >>> is_failing(OSError(errno.EIO, "Input/output error")), is_failing(PermissionError(errno.EACCES, "denied"))
    (True, False)
    """
    return any(isinstance(cause, OSError) and cause.errno in _FAILING for cause in causes(error))


def is_missing(error: BaseException) -> bool:
    """Does an error say that a file is not there any more? The next run sees whether it is gone for good."""
    return any(isinstance(cause, FileNotFoundError) or _code(cause) == "MISSING_FILE" for cause in causes(error))


def is_absent(error: BaseException) -> bool:
    """Does an error say that a file is not there, or not to be opened?"""
    return any(isinstance(cause, OSError) or _code(cause) in ("MISSING_FILE", "UNREADABLE") for cause in causes(error))


def _code(error: BaseException) -> str:
    return str(getattr(error, "code", ""))
