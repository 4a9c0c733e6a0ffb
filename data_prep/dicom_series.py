"""DICOM series: instances grouped by SeriesInstanceUID."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.dicom_instance import Instance, read_instance
from data_prep.errors import InputError
from data_prep.natural import natural_key


@dataclass(frozen=True)
class Series:
    """The instances of one series, in the order of their file names.

    Args:
        uid: SeriesInstanceUID.
        instances: at least one.
        unreadable: a file beside them that should be DICOM but cannot be read, so it may be one of their slices.
    """

    uid: str
    instances: tuple[Instance, ...]
    unreadable: InputError | None = None

    @property
    def name(self) -> str:
        """A short name that tells nothing of the patient: 12 hex digits of the UID's SHA-256."""
        return hashlib.sha256(self.uid.encode()).hexdigest()[:12]

    @property
    def folders(self) -> list[Path]:
        """Where its instances lie."""
        return list(dict.fromkeys(instance.path.parent for instance in self.instances))


def find_series(files: Iterable[Path]) -> tuple[list[Series], list[InputError]]:
    """Group DICOM images by their series.

    Returns:
        The series in the order of their first file, unchecked; and the files that should be DICOM but cannot be
        read. What is no DICOM image at all is passed over.
    """
    groups: dict[str, list[Instance]] = {}
    broken: list[InputError] = []
    for file in sorted(files, key=natural_key):
        try:
            instance = read_instance(file)
        except InputError as error:
            broken.append(error)
            continue
        if instance is not None:
            groups.setdefault(instance.series_uid, []).append(instance)
    return [_series(uid, instances, broken) for uid, instances in groups.items()], broken


def find_places(files: Iterable[Path]) -> tuple[list[tuple[Series, Path]], list[InputError]]:
    """Each series among `files` with the path by which `series_at` finds it again, and the unreadable files.

    The path is a folder where that holds nothing but the series, else its first file. A series whose slices lie
    in several folders is named by the folder above them. Where every folder holds the same images (by UID), each
    is a series of its own, and equal copies are taken once.
    """
    found, broken = find_series(files)
    found = [part for series in found for part in _apart(series)]
    owners: dict[Path, set[str]] = {}
    for series in found:
        for folder in series.folders:
            for place in (folder, *folder.parents):
                owners.setdefault(place, set()).add(series.uid)
    return [(series, _place(series, owners)) for series in found], broken


def _place(series: Series, owners: dict[Path, set[str]]) -> Path:
    common = Path(os.path.commonpath(series.folders))
    alone = len(owners[common]) == 1
    return common if alone or len(series.folders) > 1 else series.instances[0].path


def _apart(series: Series) -> list[Series]:
    """One series for each folder, if every folder holds the same images of it; byte for byte equal ones once."""
    parts = [tuple(i for i in series.instances if i.path.parent == folder) for folder in series.folders]
    names = [{instance.sop_uid for instance in part} for part in parts]
    if len(parts) == 1 or any(other != names[0] for other in names):
        return [series]
    contents = {frozenset(digest(instance.path) for instance in part): part for part in reversed(parts)}
    return [replace(series, instances=part) for part in reversed(contents.values())]


def digest(path: Path) -> bytes:
    """SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).digest()


def series_at(path: str | Path) -> Series:
    """The DICOM series that `path` stands for.

    Args:
        path: a folder (tree) with one series, or an instance, which stands for its series within its folder.

    Raises:
        InputError: MISSING_FILE, NOT_AN_IMAGE, NOT_DICOM, TRUNCATED, or MULTI_VOLUME where a folder holds several.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(path, "MISSING_FILE", "there is no such file or folder")
    if path.is_file():
        return _series_of(path)
    found, broken = find_series(walk(path))
    if len(found) > 1:
        reason = f"the folder holds {len(found)} series; name one of their folders, or one of their files"
        raise InputError(path, "MULTI_VOLUME", reason)
    if broken and not found:
        raise broken[0]
    if not found:
        raise InputError(path, "NOT_AN_IMAGE", "the folder holds no DICOM image")
    return found[0]


def walk(folder: Path) -> Iterator[Path]:
    """The regular files of a tree, folder by folder; links and hidden files are passed over."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural_key)
        for name in sorted(files, key=natural_key):
            file = Path(place, name)
            if not name.startswith(".") and file.is_file() and not file.is_symlink():
                yield file


def _series_of(file: Path) -> Series:
    instance = read_instance(file)
    if instance is None:
        raise InputError(file, "NOT_AN_IMAGE", f"neither NIfTI ({file.suffix or 'no suffix'}) nor a DICOM image")
    beside = (other for other in file.parent.iterdir() if other.is_file() and not other.name.startswith("."))
    found, _ = find_series(beside)
    return next(series for series in found if series.uid == instance.series_uid)


def _series(uid: str, instances: list[Instance], broken: list[InputError]) -> Series:
    folders = {instance.path.parent for instance in instances}
    unreadable = next((error for error in broken if Path(error.path).parent in folders), None)
    return Series(uid, tuple(instances), unreadable)
