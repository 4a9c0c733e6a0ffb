"""What lies in a place: the cases of a datalist, of NIfTI files, of DICOM series."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.dicom_series import Series, find_series
from data_prep.errors import InputError
from data_prep.nifti import is_nifti, read_nifti
from data_prep.volume import Volume

SECTIONS = ("test", "validation", "training")


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
    """Find the cases in `source`.

    Args:
        source: a datalist (`dataset.json`) or a folder with one, a NIfTI file, a DICOM file, or a folder (tree)
            of NIfTI files or DICOM series.
        section: of a datalist; None: the first that is not empty of test, validation and training.

    Returns:
        Cases in a fixed order; an empty list where there is no image.

    Raises:
        InputError: MISSING_FILE, or BAD_DATALIST.
    """
    source = Path(source)
    if not source.exists():
        raise InputError(source, "MISSING_FILE", "there is no such file or folder")
    if source.is_dir() and (source / "dataset.json").is_file():
        source = source / "dataset.json"
    if source.suffix == ".json":
        return _unique(_from_datalist(source, section))
    if source.is_file() and is_nifti(source):
        return [Case(name=_stem(source), image=str(source))]
    if source.is_file():
        return _from_file(source)
    return _unique(_from_folder(source))


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


def read_volume(path: str | Path) -> Volume:
    """Read a NIfTI file or a DICOM series (its folder, or one of its instances).

    Raises:
        InputError: with the reason why this must not be used.
    """
    if Path(path).is_file() and is_nifti(path):
        return read_nifti(path)
    from data_prep.reader import read_series

    return read_series(series_at(path))


def series_at(path: str | Path) -> Series:
    """The DICOM series that `path` stands for: a folder's only one, or that of an instance within its folder.

    Raises:
        InputError: MISSING_FILE, NOT_AN_IMAGE, or MULTI_VOLUME where a folder holds several series.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(path, "MISSING_FILE", "there is no such file or folder")
    folder = path if path.is_dir() else path.parent
    found = find_series(file for file in folder.iterdir() if file.is_file())
    if path.is_file():
        found = [series for series in found if path in series.files]
    if not found:
        raise InputError(path, "NOT_AN_IMAGE", "neither NIfTI nor DICOM with pixels")
    if len(found) > 1:
        reason = f"the folder holds {len(found)} series; name one of their files"
        raise InputError(path, "MULTI_VOLUME", reason)
    return found[0]


def _from_datalist(path: Path, section: str | None) -> list[Case]:
    try:
        datalist = json.loads(path.read_text())
        sections = [section] if section else [name for name in SECTIONS if datalist.get(name)][:1]
        entries = [entry for name in sections for entry in datalist[name]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"not a datalist with a section {section or '/'.join(SECTIONS)!r} ({error})"
        raise InputError(path, "BAD_DATALIST", reason) from error
    return [_from_entry(path, entry) for entry in entries]


def _from_entry(path: Path, entry: Any) -> Case:
    rest = {"image": entry} if isinstance(entry, str) else dict(entry)
    if not isinstance(rest.get("image"), str):
        raise InputError(path, "BAD_DATALIST", f"an entry without an image: {entry}")
    image = path.parent / rest.pop("image")
    label = rest.pop("label", None)
    runs = tuple((int(start), int(stop)) for start, stop in rest.pop("healthy_slices", ()))
    uid, name = None, _stem(image)
    if image.exists() and not is_nifti(image):
        series = series_at(image)
        uid, name = series.uid, series.name
    label = str(path.parent / label) if label else None
    return Case(name=name, image=str(image), label=label, healthy_slices=runs, series_uid=uid, meta=rest)


def _from_file(path: Path) -> list[Case]:
    try:
        series = series_at(path)
    except InputError:
        return []
    return [Case(name=series.name, image=str(path), series_uid=series.uid)]


def _from_folder(folder: Path) -> list[Case]:
    """Every NIfTI file and every series of a tree; links are not followed."""
    cases = []
    for place in [folder, *sorted(p for p in folder.rglob("*") if p.is_dir() and not p.is_symlink())]:
        files = sorted(file for file in place.iterdir() if file.is_file() and not file.is_symlink())
        nifti = [file for file in files if is_nifti(file) and not file.name.startswith(".")]
        cases += [Case(name=_stem(file), image=str(file)) for file in nifti]
        cases += _from_series(place, find_series(set(files) - set(nifti)))
    return cases


def _from_series(folder: Path, found: Sequence[Series]) -> list[Case]:
    places = [folder] if len(found) == 1 else [series.files[0] for series in found]
    return [
        Case(name=series.name, image=str(place), series_uid=series.uid)
        for series, place in zip(found, places, strict=True)
    ]


def _unique(cases: Iterable[Case]) -> list[Case]:
    """The cases with `-2`, `-3`, ... behind names that stood before."""
    seen: set[str] = set()
    unique = []
    for case in cases:
        name, number = case.name, 1
        while name in seen:
            number += 1
            name = f"{case.name}-{number}"
        seen.add(name)
        unique.append(Case(**{**case.__dict__, "name": name}))
    return unique


def _stem(path: Path) -> str:
    name = path.name
    for suffix in (".nii.gz", ".nii"):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name
