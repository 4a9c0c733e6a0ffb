"""What lies in a place: the cases of a datalist, of NIfTI and NRRD files, of DICOM series."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from data_prep.cases.datalist import MODALITY, Datalist
from data_prep.cases.read import read_volume, volume_at
from data_prep.cases.visit import MISSING, file_of, read_visit
from data_prep.errors import CONTROLS, InputError
from data_prep.find.discovery import discover
from data_prep.find.gate import of_kind, volume_series
from data_prep.find.passed import PassedOver
from data_prep.find.sequences import parse_name, place_of, sequence_name, visits
from data_prep.find.series_at import series_at
from data_prep.find.walk import is_archive
from data_prep.series import Series, file_name
from data_prep.verdict import Verdict
from data_prep.volume import Volume

RESERVED = frozenset({"dataset", "failed", "job", "metrics", "run"})  # `<case>.json` would be a record of the whole run

_SUBJECT = re.compile(r"sub-[0-9A-Za-z]+(?=_)")  # BIDS: the first entity of every file's name


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case of a cohort.

    Args:
        name: unique among the cases found together; a file's name without its extension, or a short hash of a
            series' UID.
        image: a NIfTI or NRRD file, or the place of a DICOM series (`Series.place`); of several sequences the first
            that is not missing.
        images: of several sequences of one visit, in the order of their names; None: missing. Empty: there is one.
        label: a NIfTI file, or None.
        healthy_slices: runs `(start, stop)` along the file's third axis; empty: not said.
        series_uid: of a DICOM series.
        series: where it was found by looking into a folder or archive; of several sequences that of the first.
        parts: of several sequences the cases that were found, without those that are missing.
        meta: the datalist's other keys.
    """

    name: str
    image: str
    images: tuple[str | None, ...] = ()
    label: str | None = None
    healthy_slices: tuple[tuple[int, int], ...] = ()
    series_uid: str | None = None
    series: Series | None = field(default=None, repr=False, compare=False)
    parts: tuple[Case, ...] = field(default=(), repr=False, compare=False)
    meta: dict[str, Any] = field(default_factory=dict)

    def volume(self, *, allow_gaps: bool = False) -> Volume:
        """Read the image; see `read_volume` and, for several sequences, `read_visit`."""
        if self.images:
            return read_visit(
                [None if one is None else partial(read_volume, one, allow_gaps=allow_gaps) for one in self.images]
            )
        return self.series.volume() if self.series is not None else read_volume(self.image, allow_gaps=allow_gaps)

    @property
    def patient(self) -> str:
        """Whose scan this is, as far as it is known; the scans of one patient never count as several.

        `patient` of a datalist; else a hash of DICOM's PatientID; else BIDS's `sub-...` of the file's name; else the
        case itself.
        """
        if "patient" in self.meta:
            return str(self.meta["patient"])
        stack = self.series.stack if self.series is not None else None
        if stack is not None and stack.instances[0].patient:
            return stack.instances[0].patient
        subject = _SUBJECT.match(self.image.rpartition("/")[2])
        return subject[0] if subject else self.name

    @property
    def modality(self) -> str:
        """DICOM's modality such as CT, of the datalist or of the series; "" where neither says it."""
        return str(self.meta.get(MODALITY) or (self.series.modality if self.series is not None else "")).upper()

    @property
    def skipped(self) -> bool:
        """Is this not for us: a localizer, a report, another modality?"""
        return self.series is not None and self.series.verdict is Verdict.SKIP


def list_cases(
    source: str | Path | Datalist,
    section: str | None = None,
    *,
    allow_gaps: bool = False,
    modalities: Iterable[str] | None = None,
    flat: bool | None = None,
    workers: int = 1,
    passed: PassedOver | None = None,
) -> list[Case]:
    """Find the cases in `source`.

    Args:
        source: a `Datalist`, its file (`*.json`) or a folder with a `dataset.json`; a file of any format, a zip
            archive, or a folder (tree) of such files. Hidden files are passed over in folders, and links as of
            `discover`. A file that is named but is not an image is a case as well: reading it says why it is none.
        section: of a datalist; None: the first that is not empty of test, validation and training.
        allow_gaps: of `discover`.
        modalities: of `discover`.
        flat: of `discover`; a file of another kind that is named, in a datalist as well, is skipped with its reason.
        workers: of `discover`.
        passed: of `discover`.

    Returns:
        Cases in the datalist's order or in natural order of their paths; an empty list where there is no image.
        What `discover` skips or refuses is a case, too.

    Raises:
        InputError: MISSING_FILE, or BAD_DATALIST.
    """
    datalist = source if isinstance(source, Datalist) else Datalist.at(Path(source))
    if datalist is not None:
        all_of = {MODALITY: datalist.modality} if datalist.modality else {}
        entries = ({**all_of, **entry} for entry in datalist.section(section))
        return unique_names(_from_entry(datalist.path, entry, allow_gaps=allow_gaps, flat=flat) for entry in entries)
    found = {"modalities": modalities, "workers": workers, "passed": passed}
    return _found(Path(str(source)), allow_gaps=allow_gaps, flat=flat, **found)


def volumes_or_pictures(source: str | Path | Datalist, section: str | None = None, **options: Any) -> list[Case]:
    """`list_cases` of a source to learn from: its volumes, and where it has none, its pictures; never both.

    Args:
        source: of `list_cases`.
        section: of `list_cases`.
        **options: of `list_cases`, but for `flat`.
    """
    listed = isinstance(source, Datalist) or Datalist.at(Path(source)) is not None
    volumes = list_cases(source, section, flat=None if listed else False, **options)
    if not all(case.skipped for case in volumes):
        return volumes
    pictures = list_cases(source, section, flat=True, **options)
    return volumes if all(case.skipped for case in pictures) else pictures


def _found(source: Path, *, allow_gaps: bool, flat: bool | None, **discovery: Any) -> list[Case]:
    """The cases of a file, a folder or an archive."""
    if source.is_file() and not is_archive(source):
        return unique_names([_at(source, allow_gaps=allow_gaps, flat=flat)])
    found = list(discover(source, allow_gaps=allow_gaps, flat=flat, **discovery))
    if len(found) == 1 and found[0].code == "MISSING_FILE":
        raise InputError(source, found[0].code, found[0].reason)
    return unique_names(_from_series(series) for series in found)


def group_visits(cases: Sequence[Case], sequences: Sequence[str]) -> list[Case]:
    """Cases of one sequence each as cases of one visit each; those of several sequences stay as they are.

    Which files belong together follows from their names and folders (see `data_prep.find.sequences`), of DICOM from
    patient, study and description. What is none of the sequences is left out; what is refused stays, to be told of.

    Args:
        cases: of `list_cases`.
        sequences: at least two names such as T1 and FLAIR.
    """
    tells = visits([_telling(case) for case in cases], named=sequences)
    grouped: dict[str, list[Case | None]] = {}
    others = []
    for case, one in zip(cases, tells, strict=True):
        place = place_of(one.sequence, sequences) if one.sequence else None
        if case.images or (case.series is not None and case.series.verdict is Verdict.QUARANTINE):
            others.append(case)
        elif place is not None and not case.skipped:
            members = grouped.setdefault(one.visit, [None] * len(sequences))
            members[place] = members[place] or case
    return [*(_visit(visit, members) for visit, members in grouped.items()), *others]


def _telling(case: Case) -> str:
    """The path by which a case's visit and sequence are known."""
    series = case.series
    if series is None or series.stack is None:
        return case.image
    first = series.stack.instances[0]
    return f"{first.patient}/{first.study_uid}/{sequence_name(series.sequence)}"


def _visit(visit: str, members: Sequence[Case | None]) -> Case:
    first = next(case for case in members if case is not None)
    dicom = first.series is not None and first.series.stack is not None
    name = first.name if dicom else visit.rstrip("/").rpartition("/")[2] or first.name
    images = tuple(None if case is None else case.image for case in members)
    return replace(first, name=name, images=images, parts=tuple(case for case in members if case is not None))


def list_items(
    source: str | Path | Datalist | tuple[Case, ...],
    section: str | None = None,
    *,
    allow_gaps: bool = False,
    sequences: Sequence[str] = (),
    flat: bool | None = False,
) -> list[dict[str, Any]]:
    """`list_cases` as items for a MONAI dataset: `image`, `case`; `patient`, `label`, `healthy_slices` where known.

    What is not for us (SKIP) is left out; what is refused (QUARANTINE) is an item, and its reader says why.

    Args:
        source: see `list_cases`; or the cases that it has found before, which are not listed again.
        section: of a datalist.
        allow_gaps: of `discover`.
        sequences: of the visits in a folder, such as T1 and FLAIR; a datalist lists visits as they are.
        flat: of `discover`.
    """
    found = source if isinstance(source, tuple) else list_cases(source, section, allow_gaps=allow_gaps, flat=flat)
    cases = group_visits(list(found), sequences) if len(sequences) > 1 else list(found)
    items = []
    for case in cases:
        if case.skipped:
            continue
        image = [one or MISSING for one in case.images] or case.image
        item: dict[str, Any] = {**case.meta, "image": image, "case": case.name}
        if case.patient != case.name:
            item["patient"] = case.patient
        if case.label is not None:
            item["label"] = case.label
        if case.healthy_slices:
            item["healthy_slices"] = [list(run) for run in case.healthy_slices]
        items.append(item)
    return items


def _from_series(series: Series) -> Case:
    return Case(name=series.name, image=series.place, series_uid=series.uid, series=series)


def _from_entry(datalist: Path, entry: Mapping[str, Any], *, allow_gaps: bool, flat: bool | None) -> Case:
    rest = {key: value for key, value in entry.items() if value is not None}
    image = rest.pop("image")
    case = _at(datalist.parent / file_of(image), allow_gaps=allow_gaps, flat=flat)
    if not isinstance(image, str):
        images = tuple(None if one is None else str(datalist.parent / one) for one in image)
        case = replace(case, name=visit_name(images), images=images)
    label = rest.pop("label", None)
    label = str(datalist.parent / label) if label else None
    return replace(case, label=label, healthy_slices=rest.pop("healthy_slices", ()), meta=rest)


def visit_name(images: Sequence[str | None]) -> str:
    """What the files of a visit are called alike; the first one's name where that is nothing."""
    first = file_of(images)
    return file_name(parse_name(first).visit.rstrip("/")) if parse_name(first).sequence else file_name(first)


def _at(path: Path, *, allow_gaps: bool, flat: bool | None) -> Case:
    """The case at a path, named after the path where there is no series to name it after."""
    if (found := volume_at(path)) is not None:
        kind, source = found
        case = Case(name=file_name(path), image=str(source))
        if flat or (flat is False and kind.pictures):  # who examines it sees what other files hold
            series = of_kind(volume_series(source), flat=flat)
            return replace(case, series=series) if series.verdict is Verdict.SKIP else case
        return case
    try:
        series = of_kind(series_at(path, allow_gaps=allow_gaps, flat=flat), flat=flat)
    except InputError:
        return Case(name=file_name(path), image=str(path))
    return Case(name=series.name, image=str(path), series_uid=series.uid, series=series)


class _Named(Protocol):
    """A frozen dataclass with a name."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def name(self) -> str: ...


_Case = TypeVar("_Case", bound=_Named)


def unique_names(cases: Iterable[_Case]) -> list[_Case]:
    """The cases with `-2`, `-3`, ... behind names that stood before or are `RESERVED`.

    `A` and `a` are one name, as on a Mac's disk.
    """
    cases = list(cases)
    given = {case.name.casefold() for case in cases}
    seen = set(RESERVED)
    numbers: dict[str, int] = {}  # of a name, the last that was given: thousands of one name must take no longer
    unique = []
    for case in cases:
        first = CONTROLS.sub("_", case.name)  # it names files, and is printed
        name, number = first, numbers.get(first.casefold(), 1)
        while name.casefold() in seen or (number > 1 and name.casefold() in given):
            number += 1
            name = f"{first}-{number}"
        numbers[first.casefold()] = number
        seen.add(name.casefold())
        unique.append(replace(case, name=name))
    return unique
