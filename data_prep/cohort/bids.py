"""BIDS data sets: `sub-*/[ses-*/]anat/*_T1w.nii.gz`, `participants.tsv`, masks in `derivatives`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.cohort.found import Found
from data_prep.formats.table import PATTERN
from data_prep.series import file_name

_IMAGE = re.compile(
    r"^(?P<patient>sub-[^/_]+)/(?:(?P<visit>ses-[^/_]+)/)?anat/(?P=patient)_(?P<rest>(?:[a-z]+-[^/_]+_)*)"
    r"(?P<sequence>[A-Za-z0-9]+)" + rf"(?i:{PATTERN})"
)
_MASK = re.compile(r"^derivatives/.*?(?P<patient>sub-[^/_]+)_(?P<rest>.*?)(?:mask|roi|dseg|lesion)" + PATTERN, re.I)
_LESION = re.compile(r"lesion|tumou?r|roi|stroke|wmh|abnormal", re.I)
_COLUMNS = ("group", "diagnosis", "dx", "health", "health_status", "pathology", "condition")
_HEALTHY = {"control", "controls", "healthy", "hc", "hv", "cn", "nc", "con", "normal", "healthy control", "none", "td"}
_UNKNOWN = {"", "n/a", "na", "nan"}


def is_bids(folder: Path, files: Sequence[str]) -> bool:
    """Is this the root of a BIDS data set (BIDS 1.10, "Common principles")?"""
    return (folder / "dataset_description.json").is_file() or any(_IMAGE.search(file) for file in files)


def bids_cases(folder: Path, files: Sequence[str]) -> Iterator[tuple[re.Match[str], Found]]:
    """The anatomical images; the ill by `participants.tsv`, masks by name from `derivatives`."""
    people, masks = _participants(folder / "participants.tsv"), _masks(files)
    for file in files:
        match = _IMAGE.search(file)
        if match is None:
            continue
        row = people.get(match["patient"], {})
        label = masks.get((match["patient"], match["visit"] or ""))
        yield (
            match,
            Found(
                name=file_name(file),
                image=folder / file,
                patient=match["patient"],
                label=None if label is None else folder / label,
                site=row.get("site", ""),
                healthy=_healthy(row),
            ),
        )


def _participants(table: Path) -> dict[str, dict[str, str]]:
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
        table_rows = csv.DictReader(lines, delimiter="\t")
        rows = [{str(key).lower(): value or "" for key, value in row.items()} for row in table_rows]
    return {row["participant_id"]: row for row in rows if row.get("participant_id")}


def _healthy(row: dict[str, str]) -> bool | None:
    """By the first column that says so; a word that is none for healthy is ill."""
    for column in _COLUMNS:
        word = row.get(column, "").strip().lower()
        if word not in _UNKNOWN:
            return word in _HEALTHY
    return None


def _masks(files: Sequence[str]) -> dict[tuple[str, str], str]:
    """The lesion mask of each patient and session."""
    found: dict[tuple[str, str], str] = {}
    for file in files:
        match = _MASK.search(file)
        if match is not None and _LESION.search(file.rpartition("/")[2]):
            visit = re.search(r"ses-[^/_]+", file)
            found.setdefault((match["patient"], visit.group() if visit else ""), file)
    return found
