"""`series_at`: the one DICOM volume that a path stands for."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from data_prep.errors import InputError
from data_prep.find.discovery import discover
from data_prep.find.walk import is_archive, within_archive
from data_prep.formats.source import Source
from data_prep.series import Series
from data_prep.verdict import Verdict


def series_at(place: str | Path, *, allow_gaps: bool = False, flat: bool | None = None) -> Series:
    """The DICOM volume at `place`, accepted or not.

    Args:
        place: a folder or a zip archive with one volume; one of its files, which stands for the volume within its
            folder; or `Series.place`, which may name one of several volumes behind a `#`.
        allow_gaps: as for `discover`.
        flat: as for `discover`.

    Raises:
        InputError: MISSING_FILE, NOT_AN_IMAGE, MULTI_VOLUME where there are several, or why a file is unreadable.
    """
    path, name = _split(Path(place))
    if path.is_dir() or is_archive(path) or _is_folder_within(path):
        found = list(discover(path, allow_gaps=allow_gaps, flat=flat))
        return _named(found, name, path) if name else _only(found, path)
    source = within_archive(path) or Source(path)
    found = _beside(source, allow_gaps=allow_gaps, flat=flat)
    found = [series for series in found if source in series.sources]
    return _named(found, name, path) if name else _only(found, path)


def _split(place: Path) -> tuple[Path, str]:
    """`path#name` in two, unless there is a file of that very name."""
    path, mark, name = str(place).rpartition("#")
    return (Path(path), name) if mark and not place.exists() else (place, "")


def _is_folder_within(path: Path) -> bool:
    """Is this a folder within an archive?"""
    source = within_archive(path)
    if source is None:
        return False
    found = next(iter(discover(path)), None)
    return found is not None and source not in found.sources


def _only(found: list[Series], path: Path) -> Series:
    """The one DICOM volume that is not skipped, or else the one thing that is there."""
    series = [one for one in found if one.kind == "dicom"]
    wanted = [one for one in series if one.verdict is not Verdict.SKIP] or series[:1]
    if len(wanted) > 1:
        reason = f"{path.name} holds {len(wanted)} series or volumes; name one of their folders, or one of their files"
        raise InputError(path, "MULTI_VOLUME", reason)
    if wanted:
        return wanted[0]
    broken = next((one for one in found if one.kind == "file"), None)
    if broken is not None:
        raise InputError(broken.place, broken.code, broken.reason)
    raise InputError(path, "NOT_AN_IMAGE", f"{path.name} holds no DICOM image")


def _named(found: list[Series], name: str, path: Path) -> Series:
    for series in found:
        if series.name == name:
            return series
    raise InputError(f"{path}#{name}", "MISSING_FILE", "there is no such series there any more")


def _beside(source: Source, *, allow_gaps: bool, flat: bool | None) -> list[Series]:
    """The series in a file's folder; kept for the next file of that folder while nothing changes in it."""
    if source.member is not None:
        return list(discover(source.folder, allow_gaps=allow_gaps, flat=flat, deep=False))
    if not source.path.is_file():
        raise InputError(source.path, "MISSING_FILE", "there is no such file or folder")
    found = _listing(source.folder, _stamp(source.folder), allow_gaps=allow_gaps, flat=flat)
    return found or list(discover(source.path, flat=flat))


@lru_cache(maxsize=1)
def _listing(folder: str, stamp: int, *, allow_gaps: bool, flat: bool | None) -> list[Series]:
    return list(discover(folder, allow_gaps=allow_gaps, flat=flat, deep=False))


def _stamp(folder: str) -> int:
    """A number that changes with the files of a folder."""
    with os.scandir(folder) as entries:
        facts = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    return hash(frozenset((name, status.st_size, status.st_mtime_ns, status.st_ino) for name, status in facts))
