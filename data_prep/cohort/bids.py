"""BIDS data sets: `sub-*/[ses-*/]anat/*_T1w.nii.gz`, `participants.tsv`, masks in `derivatives`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.cases.people import People
from data_prep.cohort.found import Found
from data_prep.errors import InputError
from data_prep.formats.rows import read_rows
from data_prep.formats.table import PATTERN
from data_prep.series import file_name

_IMAGE = re.compile(
    r"^(?P<patient>sub-[^/_]+)/(?:(?P<visit>ses-[^/_]+)/)?anat/(?P=patient)_(?P<rest>(?:[a-z]+-[^/_]+_)*)"
    r"(?P<sequence>[A-Za-z0-9]+)" + rf"(?i:{PATTERN})"
)
_MASK = re.compile(r"^derivatives/.*?(?P<patient>sub-[^/_]+)_(?P<rest>.*?)(?:mask|roi|dseg|lesion)" + PATTERN, re.I)
_LESION = re.compile(r"lesion|tumou?r|roi|stroke|wmh|abnormal", re.I)
_TABLES = ("participants.tsv", "participants.csv")
_IDS = ("participant_id", "participant", "subject_id", "subject", "sub", "id", "patient", "patient_id")


def is_bids(folder: Path, files: Sequence[str]) -> bool:
    """Is this the root of a BIDS data set (BIDS 1.10, "Common principles")?"""
    return (folder / "dataset_description.json").is_file() or any(_IMAGE.search(file) for file in files)


def bids_cases(
    folder: Path, files: Sequence[str], people: People | None = None
) -> Iterator[tuple[re.Match[str], Found]]:
    """The anatomical images; the ill by `participants.tsv`, masks by name from `derivatives`.

    Args:
        folder: the data set.
        files: paths below it.
        people: judges the table's rows, and keeps what was read.

    Raises:
        InputError: BAD_DATALIST where the table is none, or has none of the people.
    """
    table, masks = _Participants(folder), _masks(files)
    people = people or People()
    matches = [(file, match) for file in files if (match := _IMAGE.search(file))]
    everybody = sorted({match["patient"] for _, match in matches})
    table.check(everybody)
    name = "" if table.path is None else table.path.name
    healthy = {person: people.judge(row, name) for person in everybody if (row := table.row(person))}
    for file, match in matches:
        row = table.row(match["patient"])
        label = masks.get((match["patient"], match["visit"] or ""))
        yield (
            match,
            Found(
                name=file_name(file),
                image=folder / file,
                patient=match["patient"],
                label=None if label is None else folder / label,
                site=row.get("site", ""),
                healthy=healthy.get(match["patient"]),
            ),
        )


class _Participants:
    """`participants.tsv`, or `.csv`, which some write: rows by person, whatever is before the number.

    Args:
        folder: of the data set.
    """

    def __init__(self, folder: Path) -> None:
        self.path = next((path for name in _TABLES if (path := folder / name).is_file()), None)
        rows = [] if self.path is None else read_rows(self.path)
        column = next((name for name in _IDS if rows and name in rows[0]), None)
        if rows and column is None:
            reason = f"no column {_IDS[0]} in it, but {', '.join(rows[0])}"
            raise InputError(self.path or folder, "BAD_DATALIST", reason)
        self.rows = {_number(row[column or ""]): row for row in rows}

    def row(self, person: str) -> dict[str, str]:
        return self.rows.get(_number(person), {})

    def check(self, people: Sequence[str]) -> None:
        """Raise where the table has none of the people whose scans are there."""
        if self.rows and people and not any(map(self.row, people)):
            theirs, ours = next(iter(self.rows.values())), people[0]
            reason = f"none of its {len(self.rows)} rows is of one of the {len(people)} people whose scans are there: "
            reason += f"the first are {next(iter(theirs.values()))} and {ours}"
            raise InputError(self.path or "", "BAD_DATALIST", reason)


def _number(person: str) -> str:
    """A person's name without `sub-`, zeros before a number, or capital letters."""
    name = person.strip().casefold().removeprefix("sub-").removeprefix("sub")
    return name.lstrip("0") or name


def _masks(files: Sequence[str]) -> dict[tuple[str, str], str]:
    """The lesion mask of each patient and session."""
    found: dict[tuple[str, str], str] = {}
    for file in files:
        match = _MASK.search(file)
        if match is not None and _LESION.search(file.rpartition("/")[2]):
            visit = re.search(r"ses-[^/_]+", file)
            found.setdefault((match["patient"], visit.group() if visit else ""), file)
    return found
