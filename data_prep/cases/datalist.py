"""`Datalist`: `dataset.json` in the manner of the Medical Segmentation Decathlon, read once, checked, and handed on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_prep.cases.people import People
from data_prep.cases.table import table_content
from data_prep.errors import InputError
from data_prep.files import atomically
from data_prep.formats.rows import SUFFIXES
from data_prep.formats.source import UNREADABLE, Source, unreadable

FILE = "dataset.json"
MODALITY = "modality"
"""Key of an entry, and of a datalist: a DICOM modality such as CT."""
_MODALITIES = ("MR", "CT", "PT")
SECTIONS = ("training", "validation", "test")
Entries = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Datalist:
    """The sections of a cohort.

    Args:
        path: of the file; paths in it are relative to its folder.
        sections: those of `SECTIONS` that are there, to their entries: each has `image`, a string, or for several
            sequences of one visit a list of strings and, where one is missing, None; and may have `label`, a string,
            `healthy_slices`, a tuple of pairs `(start, stop)`, and other keys.
        about: everything else in it, such as name and modality.
    """

    path: Path
    sections: Mapping[str, Entries]
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def at(cls, source: Path) -> Datalist | None:
        """The datalist that `source` is, JSON, CSV or TSV, or holds as `dataset.json`; None: it is something else.

        Raises:
            InputError: as of `read`.
        """
        inside = source / FILE
        path = inside if inside.is_file() else source
        return cls.read(path) if path.suffix.lower() in (".json", *SUFFIXES) else None

    @classmethod
    def read(cls, path: Path, people: People | None = None) -> Datalist:
        """Read and check a file.

        Args:
            path: JSON with at least one of the sections, lists of `{"image": ..., "label"?: ..., "healthy_slices"?:
                [[start, stop], ...], ...}` or of plain image paths; or a table, see `data_prep.cases.table`.
            people: judges the rows of a table, and keeps what was read; what was read stands under `people` of `about`.

        Raises:
            InputError: MISSING_FILE, UNREADABLE, or BAD_DATALIST.
        """
        if path.suffix.lower() in SUFFIXES:
            people = people or People()
            content: Any = table_content(path, people.judge)
            content["people"] = people.sentences()
        else:
            content = _json(path)
        known = [name for name in SECTIONS if name in content] if isinstance(content, dict) else []
        if not known:
            raise InputError(path, "BAD_DATALIST", f"no section {' or '.join(SECTIONS)!r} in it, there is none")
        sections = {name: _entries(path, name, content.pop(name)) for name in known}
        return cls(path=path, sections=sections, about=content)

    def section(self, name: str | None = None) -> Entries:
        """The entries of one section.

        Args:
            name: of `SECTIONS`, or of another list in the file; None: the first that is not empty of test,
                validation and training.

        Raises:
            InputError: BAD_DATALIST where there is no such section.
        """
        if name is None:
            return next((self.sections[name] for name in reversed(SECTIONS) if self.sections.get(name)), ())
        if name in self.sections:
            return self.sections[name]
        if name in self.about:
            return _entries(self.path, name, self.about[name])
        known = ", ".join(self.sections)
        raise InputError(self.path, "BAD_DATALIST", f"no section {name!r} in it, there is {known}")

    @property
    def is_divided(self) -> bool:
        """Has somebody said who trains and who validates?"""
        return "validation" in self.sections

    @property
    def modality(self) -> str:
        """The DICOM modality of its images, by `modality` or nnU-Net's `channel_names`; "" where it says another thing.

        Both are a name, or a dictionary from a channel's number to its name; `"0": "CT"` is CT, `"0": "FLAIR"` is none.
        """
        for key in (MODALITY, "channel_names"):
            said = self.about.get(key)
            names = list(said.values()) if isinstance(said, dict) else [said]
            known = {str(name).strip().upper() for name in names} & set(_MODALITIES)
            if len(known) == 1 and len({str(name).upper() for name in names}) == 1:
                return known.pop()
        return ""

    @property
    def sequences(self) -> list[str]:
        """The names of the images of an entry that has several, by `modality` or `channel_names`; else empty."""
        for key in (MODALITY, "channel_names"):
            said = self.about.get(key)
            if isinstance(said, dict) and len(said) > 1:
                return [str(name) for name in said.values()]
        return []

    def without_folders(self) -> Datalist:
        """The same with files named without their folders, which bear patients' names: what is kept of a cohort."""
        sections = {
            name: [
                {**entry, **{key: _bare(entry[key]) for key in ("image", "label") if entry.get(key)}}
                for entry in entries
            ]
            for name, entries in self.sections.items()
        }
        return replace(self, sections=sections)

    def write(self) -> Path:
        """Write the file, whole or not at all: what it is about, then the sections in one order.

        Raises:
            OSError: it cannot be written.
        """
        order = {name: number for number, name in enumerate(SECTIONS)}
        sections = dict(sorted(self.sections.items(), key=lambda item: order.get(item[0], len(order))))
        with atomically(self.path) as partial:
            partial.write_text(json.dumps({**self.about, **sections}, indent=1, default=dict) + "\n", encoding="utf-8")
        return self.path


def _json(path: Path) -> Any:
    try:
        return json.loads(Source(path).read().decode("utf-8"))
    except UNREADABLE as error:
        if isinstance(error, RecursionError):
            raise InputError(path, "BAD_DATALIST", "lists within lists without end") from error
        raise unreadable(Source(path), error) from error
    except ValueError as error:
        raise InputError(path, "BAD_DATALIST", f"not a JSON file ({error})") from error


def _entries(path: Path, name: str, entries: Any) -> Entries:
    if not isinstance(entries, list):
        raise InputError(path, "BAD_DATALIST", f"section {name!r} is no list but {type(entries).__name__}")
    return tuple(_entry(path, entry) for entry in entries)


def _bare(image: str | Sequence[str | None]) -> Any:
    """One path or several, without their folders."""
    return Path(image).name if isinstance(image, str) else [one and Path(one).name for one in image]


def _is_image(image: Any) -> bool:
    """A path, or a list of paths and None that is not without a path."""
    if isinstance(image, list):
        return all(one is None or (isinstance(one, str) and one) for one in image) and any(image)
    return isinstance(image, str)


def _entry(path: Path, entry: Any) -> dict[str, Any]:
    entry = {"image": entry} if isinstance(entry, str) else entry
    if not isinstance(entry, dict) or not _is_image(entry.get("image")):
        raise InputError(path, "BAD_DATALIST", f"an entry without the path of an image: {entry}")
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
