"""One case through reader, detector, writer and picture; whatever goes wrong stays with the case."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.machine.files import printable
from pipelines.problems import causes, one_line
from pipelines.record import CaseRecord
from pipelines.report.result import Result, spare_volumes

if TYPE_CHECKING:
    import numpy as np

    from anomaly import Detector, Examination
    from data_prep import Case, Volume


def examine_all(
    detector: Detector,
    cases: Iterable[Case],
    out_dir: Path,
    *,
    pictures: bool = True,
    volumes: bool = False,
    truths: bool = False,
    allow_gaps: bool = False,
    on_case: Callable[[str], None] = lambda _: None,
) -> list[Result]:
    """Examine every case and write its mask, score map and finding to `out_dir`.

    Args:
        detector: of a bundle.
        cases: what to examine.
        out_dir: a folder that is there.
        pictures: draw the most abnormal slices.
        volumes: keep volumes for the viewer, of the 20 cases with the highest scores.
        truths: compare with the case's label where it has one.
        allow_gaps: read DICOM volumes in which whole slices are missing.
        on_case: called with the name of each case before it is begun.
    """
    from anomaly.engines.writer import write_examination

    def work(case: Case) -> Result:
        volume = case.volume(allow_gaps=allow_gaps)
        exam = detector.examine(volume, case=case.name)
        paths = write_examination(exam, volume.affine, out_dir)
        outputs = {kind: path.name for kind, path in paths.items()}
        return summarise(case, volume, exam, outputs=outputs, pictures=pictures, volumes=volumes, truths=truths)

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
    from pipelines.report.picture import draw
    from pipelines.report.truth import compare, load_truth
    from pipelines.report.volumes import make_volumes

    if truths and truth is None and case.label:
        truth = load_truth(case.label, volume)
    finding = exam.finding
    record = CaseRecord(
        case=case.name,
        source=printable(case.image),
        status="done",
        score=finding.score,
        p_value=finding.p_value,
        abnormal=finding.abnormal,
        lesions=len(finding.lesions),
        volume_ml=round(sum(lesion.volume_ml for lesion in finding.lesions), 3),
        flags=finding.flags,
        outputs=outputs,
        truth=None if truth is None else compare(exam.mask, truth, volume.affine),
    )
    return Result(
        record=record,
        finding=finding,
        picture=draw(volume, exam, truth=truth) if pictures else None,
        volumes=make_volumes(volume, exam) if volumes else None,
    )


def safely(case: Case, work: Callable[[Any], Result]) -> Result:
    """`work(case)`, timed, or a failed `Result` with the reason."""
    from data_prep import InputError

    started = time.perf_counter()
    try:
        result = work(case)
        result.record.seconds = round(time.perf_counter() - started, 3)
    except Exception as error:
        known = next((cause for cause in causes(error) if isinstance(cause, InputError)), None)
        code, reason = (known.code, known.reason) if known else (type(error).__name__, one_line(error))
        reason = printable(reason)
        seconds = round(time.perf_counter() - started, 3)
        record = CaseRecord.failed(case.name, printable(case.image), code=code, reason=reason, seconds=seconds)
        return Result(record=record)
    return result
