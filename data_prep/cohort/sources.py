"""`find_scans`: the scans of a folder, whatever its layout."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.cases.datalist import MODALITY
from data_prep.cases.inputs import Case, group_visits, volumes_or_pictures
from data_prep.cases.people import People
from data_prep.cohort import benchmarks
from data_prep.cohort.bids import bids_cases, is_bids
from data_prep.cohort.classes import Classes
from data_prep.cohort.datalists import datalist_cases
from data_prep.cohort.found import Found
from data_prep.cohort.layouts import LAYOUTS
from data_prep.errors import InputError
from data_prep.find.order import natural_key
from data_prep.find.sequences import NameParts, canonical, place_of, visits
from data_prep.formats.rows import SUFFIXES
from data_prep.formats.source import Source, is_kept
from data_prep.formats.table import suffix_of
from data_prep.verdict import Verdict

NAMES = ("auto", *(layout.name for layout in LAYOUTS), "bids", *benchmarks.NAMES, "classes", "datalist", "folder")


def find_scans(
    source: Path,
    *,
    layout: str = "auto",
    sequences: Sequence[str] = (),
    people: People | None = None,
    classes: Classes | None = None,
    **discovery: Any,
) -> tuple[str, list[Found]]:
    """The scans in one folder, file or archive.

    Args:
        source: where to look.
        layout: one of `NAMES`; "auto": a `dataset.json`, else the public data set whose file names occur, else
            BIDS, else a benchmark of pictures, else a plain folder of files of any format and DICOM.
        sequences: such as T1 or FLAIR, where there are several; upper or lower case. More than one: all that a visit
            has of them becomes one scan.
        people: judges tables of people, and keeps what was read of them.
        classes: the folders of healthy and of abnormal cases; the layout is then a folder a class.
        discovery: options of `list_cases`, for plain folders.

    Returns:
        The layout's name and the scans, in natural order. In a plain folder what is skipped or refused is there
        as well, by its `series`.

    Raises:
        InputError: MISSING_FILE, BAD_DATALIST; BAD_DATALIST as well where several sequences or variants are there
            and none is named, or the one named is not.
    """
    if not source.exists():
        raise InputError(source, "MISSING_FILE", "there is no such file or folder")
    if classes is not None:
        if not source.is_dir():
            raise InputError(source, "BAD_DATALIST", "a folder with a folder for each class is needed")
        return "classes", list(classes.cases(source, _files(source)))
    listed = source / "dataset.json" if source.is_dir() else source
    if layout == "datalist" or (
        layout == "auto" and listed.is_file() and listed.suffix.lower() in (".json", *SUFFIXES)
    ):
        return "datalist", list(datalist_cases(listed, people))
    if source.is_dir() and layout != "folder":
        files = _files(source)
        for known in LAYOUTS:
            matches = list(known.matches(source, files)) if layout in ("auto", known.name) else []
            if matches:
                return known.name, _chosen(source, matches, sequences)
        if layout in ("auto", "bids") and is_bids(source, files):
            return "bids", _chosen(source, list(bids_cases(source, files, people)), sequences)
        if found := benchmarks.benchmark_cases(source, files, layout=layout):
            return found
    if layout not in ("auto", "folder"):
        raise InputError(source, "BAD_DATALIST", f"no file of this folder is named as in the layout {layout}")
    return "folder", _plain(source, sequences, **discovery)


def _files(folder: Path) -> list[str]:
    """Files of any format of the table below a folder, hidden ones and links to elsewhere passed over."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(place).relative_to(folder)
        for name in names:
            if suffix_of(name) and not name.startswith(".") and is_kept(Source(Path(place, name))):
                found.append((below / name).as_posix())
    return sorted(found, key=natural_key)


def _chosen(source: Path, matches: Sequence[tuple[re.Match[str], Found]], sequences: Sequence[str]) -> list[Found]:
    """Of several sequences those that are wanted, of one way of processing; the files of a visit become one scan."""
    kinds = {_group(match, "sequence").casefold(): _group(match, "sequence") for match, _ in matches}
    kinds.pop("", None)
    if not sequences and len(kinds) > 1:
        raise InputError(
            source, "BAD_DATALIST", f"there are the sequences {_words(kinds.values())}: name one, or several"
        )
    places = {kind: _place(kind, kinds, sequences) for kind in kinds} | {"": 0}
    for number, name in enumerate(sequences):
        if kinds and number not in [places[kind] for kind in kinds]:
            raise InputError(source, "BAD_DATALIST", f"there is no {name} in it, but {_words(kinds.values())}")
    wanted = [(match, found) for match, found in matches if places[_group(match, "sequence").casefold()] is not None]
    variants = {_group(match, "variant") for match, _ in wanted}
    if len(variants) > 1:
        reason = f"the same scans are there as {_words(variants)}: name the folder of one, or move the others away"
        raise InputError(source, "BAD_DATALIST", reason)
    if len(sequences) < 2:
        return [found for _, found in wanted]
    grouped: dict[tuple[str, str], list[tuple[int, Found]]] = {}
    for match, found in wanted:
        place = places[_group(match, "sequence").casefold()] or 0
        grouped.setdefault((found.patient, _group(match, "visit")), []).append((place, found))
    return [as_visit(members, len(sequences), name="_".join(filter(None, key))) for key, members in grouped.items()]


def _place(kind: str, kinds: Iterable[str], sequences: Sequence[str]) -> int | None:
    """Which of the wanted sequences a kind is: by its very name, or by what else it is called; None: none."""
    exact = [name.casefold() for name in sequences]
    if not sequences:
        return 0
    if kind in exact:
        return exact.index(kind)
    place = place_of(canonical(kind), sequences)
    return None if place is None or exact[place] in kinds else place


def as_visit(members: Sequence[tuple[int, Found]], count: int, *, name: str) -> Found:
    """Several scans of one visit as one.

    Args:
        members: the place of each among the sequences, and the scan; of two in one place the first is taken.
        count: of the sequences.
        name: of the visit.
    """
    images: list[Path | None] = [None] * count
    for place, found in members:
        images[place] = images[place] or found.image
    first = min(members, key=lambda member: member[0])[1]
    label = next((found.label for _, found in members if found.label is not None), None)
    return replace(first, name=name, images=tuple(images), label=label, series=None)


def _group(match: re.Match[str], name: str) -> str:
    return match.groupdict().get(name) or ""


def _words(values: Iterable[str]) -> str:
    return ", ".join(sorted(value.strip("_-") for value in values))


def _plain(source: Path, sequences: Sequence[str], **discovery: Any) -> list[Found]:
    cases = volumes_or_pictures(source, **discovery)
    if all(case.series is not None and case.series.kind == "picture" for case in cases):
        return [_found(case, case.name) for case in cases]  # a number behind a picture's name is no sequence
    if len(sequences) > 1:
        found = [_found(case, case.name) for case in group_visits(cases, sequences)]
        _check_all(source, sequences, found)
        return found
    tells = visits([case.image for case in cases], named=sequences)
    kinds = {one.sequence for one in tells if one.sequence}
    if len(kinds) > 1 and not sequences:
        reason = f"scans of one visit lie there as {_words(kinds)}: name one sequence, or several"
        raise InputError(source, "BAD_DATALIST", reason)
    pairs = zip(cases, tells, strict=True)
    return [
        _found(case, _short(one) if one.sequence else case.name)
        for case, one in pairs
        if not sequences or place_of(one.sequence, sequences) == 0
    ]


def _check_all(source: Path, sequences: Sequence[str], found: Sequence[Found]) -> None:
    """Raise where one of the sequences is in no visit."""
    for number, name in enumerate(sequences):
        if not any(len(scan.images) > number and scan.images[number] for scan in found):
            raise InputError(source, "BAD_DATALIST", f"there is no {name} in it")


def _found(case: Case, visit: str) -> Found:
    meta = {MODALITY: case.modality} if case.modality else {}
    images = tuple(None if image is None else Path(image) for image in case.images)
    stack = case.series.stack if case.series is not None else None
    patient = visit or case.name
    if stack is not None and case.series is not None and case.series.verdict is Verdict.ACCEPT:
        patient = stack.instances[0].patient
    series = None if images else case.series
    return Found(name=case.name, image=Path(case.image), images=images, patient=patient, series=series, meta=meta)


def _short(one: NameParts) -> str:
    """The last part of a visit's path: the folder's name where its files are called after their sequences alone."""
    return one.visit.rstrip("/").rpartition("/")[2]
