"""Writing results so that a file is either whole or not there."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from pipelines.problems import CommandError

_FOLDERS = re.compile(r"""(?:^|(?<=[\s"'(\[=]))/(?:[^/:"'\n]+/)+""")  # of an absolute path


def without_folders(text: str) -> str:
    """A sentence in which files are named without the folders that they lie in.

    >>> without_folders("cannot open /data/JOHN DOE/scan.nii (no such file)")
    'cannot open scan.nii (no such file)'
    """
    return _FOLDERS.sub("", text)


def write_whole(path: Path, text: str) -> Path:
    """Write a text file in one step: readers see the old content or the new one, never a part."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    return partial.replace(path)


def printable(text: str | Path) -> str:
    """Text that can be printed and put into JSON: bytes of a file name that are no text become `\\xff`."""
    return str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def writable_folder(path: Path) -> Path:
    """Make the folder `path` where it is missing.

    Raises:
        CommandError: it cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        msg = f"{path}: cannot write to this output folder: {error.strerror or error}"
        raise CommandError(msg) from error
    return path


def sync(path: Path) -> None:
    """Bring a file's content, or a folder's entries, to the disk (POSIX; elsewhere a folder cannot be synced)."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
