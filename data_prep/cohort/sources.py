"""`find_scans`: the scans of a folder, whatever its layout."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.cases.datalist import MODALITY
from data_prep.cases.inputs import list_cases
from data_prep.cohort.bids import bids_cases, is_bids
from data_prep.cohort.datalists import datalist_cases
from data_prep.cohort.found import Found
from data_prep.cohort.layouts import LAYOUTS
from data_prep.errors import InputError
from data_prep.find.order import natural_key
from data_prep.formats.source import Source, is_kept
from data_prep.formats.table import suffix_of
from data_prep.verdict import Verdict

NAMES = ("auto", *(layout.name for layout in LAYOUTS), "bids", "datalist", "folder")


def find_scans(
    source: Path, *, layout: str = "auto", sequence: str | None = None, **discovery: Any
) -> tuple[str, list[Found]]:
    """The scans in one folder, file or archive.

    Args:
        source: where to look.
        layout: one of `NAMES`; "auto": a `dataset.json`, else the public data set whose file names occur, else
            BIDS, else a plain folder of NIfTI, NRRD and DICOM.
        sequence: such as T1 or FLAIR, where the layout has several; upper or lower case.
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
    listed = source / "dataset.json" if source.is_dir() else source
    if layout == "datalist" or (layout == "auto" and listed.is_file() and listed.suffix == ".json"):
        return "datalist", list(datalist_cases(listed))
    if source.is_dir() and layout != "folder":
        files = _files(source)
        for known in LAYOUTS:
            matches = list(known.matches(source, files)) if layout in ("auto", known.name) else []
            if matches:
                return known.name, _chosen(source, matches, sequence)
        if layout in ("auto", "bids") and is_bids(source, files):
            return "bids", _chosen(source, list(bids_cases(source, files)), sequence)
    if layout not in ("auto", "folder"):
        raise InputError(source, "BAD_DATALIST", f"no file of this folder is named as in the layout {layout}")
    return "folder", _plain(source, **discovery)


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


def _chosen(source: Path, matches: Sequence[tuple[re.Match[str], Found]], sequence: str | None) -> list[Found]:
    """Of several sequences the one that is wanted, of one way of processing."""
    kinds = {_group(match, "sequence").casefold(): _group(match, "sequence") for match, _ in matches}
    if sequence is None and len(kinds) > 1:
        raise InputError(source, "BAD_DATALIST", f"there are the sequences {_words(kinds.values())}: name one")
    if sequence is not None and sequence.casefold() not in kinds and set(kinds) != {""}:
        raise InputError(source, "BAD_DATALIST", f"there is no {sequence} in it, but {_words(kinds.values())}")
    wanted = [
        (match, found)
        for match, found in matches
        if sequence is None or _group(match, "sequence").casefold() in (sequence.casefold(), "")
    ]
    variants = {_group(match, "variant") for match, _ in wanted}
    if len(variants) > 1:
        reason = f"the same scans are there as {_words(variants)}: name the folder of one, or move the others away"
        raise InputError(source, "BAD_DATALIST", reason)
    return [found for _, found in wanted]


def _group(match: re.Match[str], name: str) -> str:
    return match.groupdict().get(name) or ""


def _words(values: Iterable[str]) -> str:
    return ", ".join(sorted(value.strip("_-") for value in values))


def _plain(source: Path, **discovery: Any) -> list[Found]:
    scans = []
    for case in list_cases(source, **discovery):
        meta = {MODALITY: case.modality} if case.modality else {}
        scan = Found(name=case.name, image=Path(case.image), patient=case.name, series=case.series, meta=meta)
        if case.series is not None and case.series.verdict is Verdict.ACCEPT and case.series.stack is not None:
            scan = replace(scan, patient=case.series.stack.instances[0].patient)
        scans.append(scan)
    return scans
