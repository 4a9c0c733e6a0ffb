"""One case through reader, detector, writer and picture; whatever goes wrong stays with the case."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipelines.machine.files import printable
from pipelines.outputs.origin import Origin
from pipelines.outputs.table import Examined, Output
from pipelines.outputs.write import flags_of, write_case
from pipelines.problems import causes, one_line
from pipelines.record import CaseRecord, own_name, unit_of
from pipelines.report.result import Result, spare_volumes

if TYPE_CHECKING:
    import numpy as np

    from anomaly import Examination
    from data_prep import Case, Volume
    from pipelines.detect.choice import Detectors

_Made = TypeVar("_Made")


def examine_all(
    detectors: Detectors,
    cases: Iterable[Case],
    out_dir: Path,
    *,
    pictures: bool = True,
    volumes: bool = False,
    truths: bool = False,
    allow_gaps: bool = False,
    extras: Sequence[Output] = (),
    on_case: Callable[[str], None] = lambda _: None,
) -> list[Result]:
    """Examine every case and write its mask, score map and finding to `out_dir`.

    Args:
        detectors: of the bundle, or of those that are chosen from.
        cases: what to examine.
        out_dir: a folder that is there.
        pictures: draw the most abnormal slices.
        volumes: keep volumes for the viewer, of the 20 cases with the highest scores.
        truths: compare with the case's label where it has one.
        allow_gaps: read DICOM volumes in which whole slices are missing.
        extras: what is written beside the result; one that cannot be made leaves a flag.
        on_case: called with the name of each case before it is begun.
    """

    def work(case: Case) -> Result:
        volume = case.volume(allow_gaps=allow_gaps)
        detector, why = detectors.of(case, volume)
        exam = detector.examine(volume, case=case.name)
        stack = case.series.stack if case.series is not None else None
        outputs, exam = write_case(Examined(volume=volume, exam=exam, stack=stack, key=_key(exam)), out_dir, extras)
        result = summarise(case, volume, exam, outputs=outputs, pictures=pictures, volumes=volumes, truths=truths)
        result.record.chosen_because = why
        return result

    results: list[Result] = []
    for case in cases:
        on_case(case.name)
        results.append(safely(case, work))
        spare_volumes(results)
    return results


def summarise(
    case: Case,
    volume: Volume,
    exam: Examination,
    *,
    outputs: dict[str, str],
    pictures: bool,
    truths: bool = False,
    truth: np.ndarray | None = None,
    volumes: bool = False,
) -> Result:
    """The `Result` of an examined case; `seconds` is left at 0.

    Args:
        case: what was examined.
        volume: its image.
        exam: on the same grid.
        outputs: file names by kind.
        pictures: draw the most abnormal slices.
        truths: compare with the case's label, read here, where it has one.
        truth: the label, `(i, j, k)` bool, where it is at hand.
        volumes: keep volumes for the viewer.
    """
    from pipelines.report.truth import compare, load_truth

    if truths and truth is None and case.label:
        truth = load_truth(case.label, volume)
    finding = exam.finding
    examined = Examined(volume=volume, exam=exam, truth=truth)
    faults: dict[str, Exception] = {}
    picture = _tried(lambda: examined.picture, "picture", faults) if pictures else None
    shown = _tried(lambda: examined.volumes, "view", faults) if volumes else None
    origin = Origin.of(case)
    record = CaseRecord(
        case=case.name,
        source=own_name(printable(case.image), case.name),
        status="done",
        score=finding.score,
        p_value=finding.p_value,
        abnormal=finding.abnormal,
        lesions=len(finding.lesions),
        volume_ml=round(sum(lesion.volume_ml for lesion in finding.lesions), 3),
        unit=unit_of(volume.array.shape[2], finding.flags),
        flags=list(dict.fromkeys([*finding.flags, *flags_of(faults)])),
        outputs=outputs,
        sequence=origin.sequence,
        voxel_mm=origin.size or Origin(voxel_mm=tuple(round(length, 3) for length in volume.spacing)).size,
        slices=origin.slices or volume.array.shape[2],
        bundle=f"{finding.bundle.name} {finding.bundle.version}",
        truth=None if truth is None else compare(exam.mask, truth, volume.affine),
    )
    return Result(record=record, finding=finding, picture=picture, volumes=shown)


def _tried(make: Callable[[], _Made], kind: str, faults: dict[str, Exception]) -> _Made | None:
    """What is only shown of a case; where it cannot be made, the error goes to `faults`, and the case goes on."""
    try:
        return make()
    except Exception as error:  # matplotlib raises errors of many types
        faults[kind] = error
        return None


def _key(exam: Examination) -> str:
    """What the UIDs of DICOM objects follow from: the input, the bundle and its thresholds."""
    finding = exam.finding
    parts = [finding.case, finding.input_hash, finding.bundle.model_dump_json(), finding.thresholds.model_dump_json()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def safely(case: Case, work: Callable[[Any], Result]) -> Result:
    """`work(case)`, timed, or a failed `Result` with the reason."""
    from anomaly import VolumeError
    from data_prep import InputError

    started = time.perf_counter()
    try:
        result = work(case)
        result.record.seconds = round(time.perf_counter() - started, 3)
    except Exception as error:
        known = next((cause for cause in causes(error) if isinstance(cause, InputError | VolumeError)), None)
        code, reason = (known.code, known.reason) if known else (type(error).__name__, one_line(error))
        reason = printable(reason)
        seconds = round(time.perf_counter() - started, 3)
        record = CaseRecord.failed(case.name, printable(case.image), code=code, reason=reason, seconds=seconds)
        return Result(record=record)
    return result
