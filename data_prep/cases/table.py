"""A table of cases as the content of a datalist: one row a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from data_prep.errors import InputError
from data_prep.formats.rows import read_rows

_SECTIONS = {
    **dict.fromkeys(("training", "train", "tr"), "training"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "ts"), "test"),
}
_IMAGE, _SEVERAL = "image", "image:"
_EMPTY = frozenset(("", "n/a", "na", "nan", "none", "null"))
Judge = Callable[[Mapping[str, str], str], bool | None]


def table_content(path: Path, judge: Judge | None = None) -> dict[str, Any]:
    """What a `dataset.json` of the same cases would hold.

    Args:
        path: CSV or TSV with the column `image`, or `image:T1`, `image:FLAIR`, ... for the sequences of a visit, and
            any of `label`, `patient`, `section`, `site`, `group`, `healthy`, `age`, `sex` and others, which are kept.
        judge: says of a row whether it is of somebody healthy; None: nobody is judged.

    Raises:
        InputError: BAD_DATALIST where a column, an image or a section is missing or unknown.
    """
    rows = read_rows(path)
    columns = list(rows[0]) if rows else []
    several = [column for column in columns if column.startswith(_SEVERAL)]
    if not rows or (_IMAGE not in columns and not several):
        found = f"its columns are {', '.join(columns)}" if columns else "it has no row"
        raise InputError(path, "BAD_DATALIST", f"a table of cases needs the column image; {found}")
    content: dict[str, Any] = {}
    if several:
        content["modality"] = {str(number): column.removeprefix(_SEVERAL) for number, column in enumerate(several)}
    for number, row in enumerate(rows, start=2):
        entry, section = _entry(path, number, row, several)
        healthy = None if judge is None else judge(row, path.name)
        if healthy is not None:
            entry["healthy"] = healthy
        content.setdefault(section or ("test" if healthy is False else "training"), []).append(entry)
    return content


def _entry(path: Path, number: int, row: Mapping[str, str], several: list[str]) -> tuple[dict[str, Any], str]:
    entry: dict[str, Any] = {
        key: value
        for key, value in row.items()
        if value.casefold() not in _EMPTY and key not in (*several, "section", "healthy")
    }
    if several:
        entry[_IMAGE] = [None if row[column].casefold() in _EMPTY else row[column] for column in several]
    if not (any(entry[_IMAGE]) if several else _IMAGE in entry):
        raise InputError(path, "BAD_DATALIST", f"row {number} names no image")
    said = row.get("section", "").casefold()
    if said not in _EMPTY and said not in _SECTIONS:
        reason = f"row {number} is in the section {said!r}; there are training, validation and test"
        raise InputError(path, "BAD_DATALIST", reason)
    return entry, _SECTIONS.get(said, "")
