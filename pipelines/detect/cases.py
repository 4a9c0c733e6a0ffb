"""From the paths of a command line to cases with names of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.machine.cores import default_workers
from pipelines.machine.files import printable
from pipelines.outputs.table import OUTPUTS
from pipelines.problems import CommandError
from pipelines.record import CaseRecord

if TYPE_CHECKING:
    from data_prep import Case, InputError, Volume
    from data_prep.find.passed import PassedOver


def gather_cases(
    paths: Iterable[Path],
    *,
    allow_gaps: bool = False,
    modalities: Iterable[str] | None = None,
    sequences: Sequence[str] = (),
    flat: bool | None = None,
    passed: PassedOver | None = None,
) -> tuple[list[Case], list[CaseRecord]]:
    """The cases at `paths`, each image once, and a record for what is skipped and for what could not be searched.

    Masks and score maps that an earlier run wrote there are no cases. Case names that occur at several
    paths get a suffix: `-2`, `-3`, ...

    Args:
        paths: files, folders, zip archives, datalists.
        allow_gaps: accept DICOM volumes in which whole slices are missing.
        modalities: of DICOM that are wanted; None: all that make volumes.
        sequences: of a visit, where a bundle looks at several; see `data_prep.cases.inputs.group_visits`.
        flat: True: pictures, images of one slice, are wanted; False: volumes; None: see `data_prep.discover`.
        passed: gets what is passed over.

    Raises:
        CommandError: none of the paths exists.
    """
    from data_prep import InputError, list_cases, unique_names
    from data_prep.cases.inputs import group_visits

    cases: list[Case] = []
    errors: list[InputError] = []
    for path in paths:
        try:
            cases += list_cases(
                path, allow_gaps=allow_gaps, modalities=modalities, flat=flat, workers=default_workers(), passed=passed
            )
        except InputError as error:
            errors.append(error)
    if errors and not cases and all(error.code == "MISSING_FILE" for error in errors):
        raise CommandError("; ".join(str(error) for error in errors))
    once = list(_once(cases))
    named = unique_names(group_visits(once, sequences) if len(sequences) > 1 else once)
    skipped = [skip_record(case) for case in named if case.skipped]
    return [case for case in named if not case.skipped], [*map(_record, errors), *skipped]


def check_types(cases: Sequence[Case], failures: Sequence[CaseRecord]) -> None:
    """Raise `CommandError` where there is nothing but files of another type, before anything is loaded for them."""
    if failures:
        return
    from data_prep import InputError
    from data_prep.cases.read import volume_at

    reasons = []
    for case in cases:
        if case.series is not None or volume_at(case.image) is not None:
            return
        try:
            case.volume()
        except InputError as error:
            reasons.append(f"{error.reason} [{error.code}]")
        else:
            return
    if reasons:
        raise CommandError("; ".join(reasons))


def _once(cases: Iterable[Case]) -> Iterator[Case]:
    """Each image once, and no result of an earlier run."""
    images: set[Path] = set()
    for case in cases:
        image = Path(case.image).resolve()
        if image not in images and not _is_result(image):
            images.add(image)
            yield case


def _is_result(image: Path) -> bool:
    """Is this a mask or score map of an earlier run, with its finding beside it?"""
    for kind in ("mask", "score"):
        case = image.name.removesuffix(OUTPUTS[kind].ending)
        if case != image.name:
            return image.with_name(OUTPUTS["finding"].file(case)).is_file()
    return False


def _record(error: InputError) -> CaseRecord:
    from data_prep import file_name

    return CaseRecord.failed(
        file_name(error.path), printable(error.path), code=error.code, reason=printable(error.reason)
    )


def skip_record(case: Case) -> CaseRecord:
    """The record of a case that is not for us."""
    code, reason = (case.series.code, case.series.reason) if case.series else ("", "")
    return CaseRecord.skipped(case.name, printable(case.image), code=code, reason=printable(reason))


@contextmanager
def refusing(case: Case, refused: list[CaseRecord]) -> Iterator[None]:
    """What finds a scan to be bad ends here, and its reason goes to `refused`."""
    from data_prep import InputError

    try:
        yield
    except InputError as error:
        why = printable(error.reason)
        refused.append(CaseRecord.failed(case.name, printable(case.image), code=error.code, reason=why))


def healthy_part(case: Case, *, allow_gaps: bool = False) -> Volume:
    """The scan, or its longest healthy run."""
    volume = case.volume(allow_gaps=allow_gaps)
    if not case.healthy_slices:
        return volume
    start, stop = max(case.healthy_slices, key=lambda run: run[1] - run[0])
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 2] * start
    sequences = tuple(None if one is None else one[..., start:stop] for one in volume.sequences)
    return replace(volume, array=volume.array[..., start:stop], affine=affine, sequences=sequences)


def without_voxels(volume: Volume) -> Volume:
    """A volume with its shape and affine alone, so that a whole cohort's can be kept."""
    import numpy as np

    return replace(volume, array=np.broadcast_to(np.float32(0), volume.shape), sequences=())


def listed(case: Case) -> dict[str, Any]:
    """A case as an entry of a datalist, with an absolute path."""
    images = [one and str(Path(one).resolve()) for one in case.images]
    entry = {**case.meta, "image": images or str(Path(case.image).resolve())}
    if case.patient != case.name:
        entry["patient"] = case.patient
    if case.modality:
        entry["modality"] = case.modality
    return entry | ({"healthy_slices": [list(run) for run in case.healthy_slices]} if case.healthy_slices else {})
