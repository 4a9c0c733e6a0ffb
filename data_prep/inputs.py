"""What lies in a place: the cases of a datalist, of NIfTI files, of DICOM series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_prep.datalist import read_datalist
from data_prep.errors import InputError
from data_prep.natural import natural_key
from data_prep.nifti import SUFFIXES, is_nifti


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case of a cohort.

    Args:
        name: unique among the cases found together; a NIfTI file's name without its extension, or a short hash of
            a series' UID.
        image: a NIfTI file, or a folder with one DICOM series, or the first instance of a series in a folder with
            several.
        label: a NIfTI file, or None.
        healthy_slices: runs `(start, stop)` along the file's third axis; empty: not said.
        series_uid: of a DICOM series.
        meta: the datalist's other keys.
    """

    name: str
    image: str
    label: str | None = None
    healthy_slices: tuple[tuple[int, int], ...] = ()
    series_uid: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)


def list_cases(source: str | Path, section: str | None = None) -> list[Case]:
    """Find the cases in `source`, without checking the images themselves.

    Args:
        source: a datalist (`*.json`) or a folder with a `dataset.json`, a NIfTI file, a DICOM file, or a folder
            (tree) of NIfTI files or DICOM series. Hidden files and links are passed over in folders. A file that
            is named but is no image is a case as well: reading it says why it is none.
        section: of a datalist; None: the first that is not empty of test, validation and training.

    Returns:
        Cases in the datalist's order or in natural order of their paths; an empty list where there is no image.

    Raises:
        InputError: MISSING_FILE, or BAD_DATALIST.
    """
    source = Path(source)
    if not source.exists():
        raise InputError(source, "MISSING_FILE", "there is no such file or folder")
    if source.is_dir() and (source / "dataset.json").is_file():
        source = source / "dataset.json"
    if source.suffix == ".json":
        return unique_names(_from_entry(source, entry) for entry in read_datalist(source, section))
    if source.is_file():
        return [_at(source)]
    return unique_names(_from_folder(source))


def list_items(source: str | Path, section: str | None = None) -> list[dict[str, Any]]:
    """`list_cases` as items for a MONAI dataset: `image`, `case`, and `label` and `healthy_slices` where known."""
    items = []
    for case in list_cases(source, section):
        item: dict[str, Any] = {**case.meta, "image": case.image, "case": case.name}
        if case.label is not None:
            item["label"] = case.label
        if case.healthy_slices:
            item["healthy_slices"] = [list(run) for run in case.healthy_slices]
        items.append(item)
    return items


def _from_entry(datalist: Path, entry: dict[str, Any]) -> Case:
    rest = {key: value for key, value in entry.items() if value is not None}
    case = _at(datalist.parent / rest.pop("image"))
    label = rest.pop("label", None)
    label = str(datalist.parent / label) if label else None
    return replace(case, label=label, healthy_slices=rest.pop("healthy_slices", ()), meta=rest)


def _at(path: Path) -> Case:
    """The case at a path, named after the path where there is no series to name it after."""
    if path.exists() and not (is_nifti(path) and path.is_file()):
        from data_prep.dicom_series import series_at

        try:
            series = series_at(path)
        except InputError:
            return Case(name=path_name(path), image=str(path))
        return Case(name=series.name, image=str(path), series_uid=series.uid)
    return Case(name=path_name(path), image=str(path))


def _from_folder(folder: Path) -> list[Case]:
    """Every NIfTI file and every series of a tree."""
    from data_prep.dicom_series import walk

    files = list(walk(folder))
    cases = [Case(name=path_name(file), image=str(file)) for file in files if is_nifti(file)]
    cases += _from_dicom([file for file in files if not is_nifti(file)])
    return sorted(cases, key=lambda case: natural_key(case.image))


def _from_dicom(files: Iterable[Path]) -> list[Case]:
    """A case for every series, and for files that should be DICOM but belong to none."""
    from data_prep.dicom_series import find_places

    places, broken = find_places(files)
    cases = [Case(name=series.name, image=str(place), series_uid=series.uid) for series, place in places]
    folders = {folder for series, _ in places for folder in series.folders}
    stray = [Path(error.path) for error in broken if Path(error.path).parent not in folders]
    return cases + [Case(name=path_name(file), image=str(file)) for file in stray]


def unique_names(cases: Iterable[Case]) -> list[Case]:
    """The cases with `-2`, `-3`, ... behind names that stood before; `A` and `a` are one name on a Mac's disk."""
    cases = list(cases)
    given = {case.name.casefold() for case in cases}
    seen: set[str] = set()
    unique = []
    for case in cases:
        name, number = case.name, 1
        while name.casefold() in seen or (number > 1 and name.casefold() in given):
            number += 1
            name = f"{case.name}-{number}"
        seen.add(name.casefold())
        unique.append(replace(case, name=name))
    return unique


def path_name(path: Path) -> str:
    """A file's name without an image's extension."""
    suffix = next((suffix for suffix in (*reversed(SUFFIXES), ".dcm") if path.name.lower().endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)] or path.name
