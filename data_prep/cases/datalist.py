"""Datalists: `dataset.json` in the manner of the Medical Segmentation Decathlon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_prep.errors import InputError

SECTIONS = ("test", "validation", "training")


def datalist_at(source: Path) -> Path | None:
    """The datalist that `source` is or, as `dataset.json`, holds; None: it is something else. It need not be there."""
    inside = source / "dataset.json"
    path = inside if inside.is_file() else source
    return path if path.suffix == ".json" else None


def read_datalist(path: Path, section: str | None = None) -> list[dict[str, Any]]:
    """The entries of one section, each with a string `image`.

    Args:
        path: JSON with at least one of the sections, lists of `{"image": ..., "label"?: ..., "healthy_slices"?:
            [[start, stop], ...], ...}` or of plain image paths, relative to the file.
        section: None: the first that is not empty of test, validation and training.

    Returns:
        Entries as they stand; `healthy_slices` as a tuple of pairs.

    Raises:
        InputError: BAD_DATALIST.
    """
    try:
        datalist = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(path, "BAD_DATALIST", f"not a JSON file ({error})") from error
    known = [name for name in datalist if name in SECTIONS] if isinstance(datalist, dict) else []
    name = section or next((name for name in SECTIONS if name in known and datalist[name]), "")
    if not known or (section and section not in datalist):
        reason = f"no section {section or ' or '.join(SECTIONS)!r} in it, there is {', '.join(known) or 'none'}"
        raise InputError(path, "BAD_DATALIST", reason)
    entries = datalist[name] if name else []
    if not isinstance(entries, list):
        raise InputError(path, "BAD_DATALIST", f"section {name!r} is no list but {type(entries).__name__}")
    return [_entry(path, entry) for entry in entries]


def _entry(path: Path, entry: Any) -> dict[str, Any]:
    entry = {"image": entry} if isinstance(entry, str) else entry
    if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
        raise InputError(path, "BAD_DATALIST", f"an entry without the path of one image: {entry}")
    if not isinstance(entry.get("label", ""), str | None):
        raise InputError(path, "BAD_DATALIST", f"a label that is no path: {entry}")
    if runs := entry.get("healthy_slices"):
        return {**entry, "healthy_slices": _runs(path, runs)}
    return {key: value for key, value in entry.items() if key != "healthy_slices"}


def _runs(path: Path, runs: Any) -> tuple[tuple[int, int], ...]:
    try:
        pairs = tuple((int(start), int(stop)) for start, stop in runs)
    except (TypeError, ValueError) as error:
        raise InputError(path, "BAD_DATALIST", f"healthy_slices must be [start, stop) pairs, got {runs}") from error
    if any(not 0 <= start < stop for start, stop in pairs):
        raise InputError(path, "BAD_DATALIST", f"healthy_slices must be [start, stop) pairs, got {runs}")
    return pairs
