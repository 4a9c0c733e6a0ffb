"""Writing results so that a file is either whole or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from data_prep.errors import CONTROLS
from data_prep.files import atomically
from pipelines.problems import CommandError


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a file in one step: readers see the old content or the new one, never a part."""
    with atomically(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def printable(text: str | Path) -> str:
    """Text that can be printed and put into JSON: bytes of a file name that are no text become `\\xff`.

    So do control characters, with which a name could move a terminal's cursor, colour it or begin another line, and the
    marks that turn the direction of writing.

    >>> printable("scan\\x1b[2J\\n.nii"), printable("\\u202egnp.nii")
    ('scan\\\\x1b[2J\\\\x0a.nii', '\\\\u202egnp.nii')
    """
    readable = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return CONTROLS.sub(lambda found: _escaped(found[0]), readable)


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


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
