"""One case through reader, detector, writer and picture; whatever goes wrong stays with the case."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.files import printable
from pipelines.problems import causes, one_line
from pipelines.record import CaseRecord

if TYPE_CHECKING:
    from anomaly import Detector, Examination, Finding
    from data_prep import Case, Volume

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is known of one case once it has been worked on.

    Args:
        record: its line in `run.json`.
        finding: None where it failed.
        picture: a PNG of its most abnormal slices; None where it failed or no report was wanted.
    """

    record: CaseRecord
    finding: Finding | None = None
    picture: bytes | None = None


def examine_all(
    detector: Detector,
    cases: Iterable[Case],
    out_dir: Path,
    *,
    pictures: bool = True,
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
        truths: compare with the case's label where it has one.
        allow_gaps: read DICOM volumes in which whole slices are missing.
        on_case: called with the name of each case before it is begun.
    """

    def work(case: Case) -> Result:
        volume = case.volume(allow_gaps=allow_gaps)
        return _examine(detector, case, volume, out_dir, pictures=pictures, truths=truths)

    results = []
    for case in cases:
        on_case(case.name)
        results.append(safely(case, work))
    return results


def summarise(
    case: Case, volume: Volume, exam: Examination, *, outputs: dict[str, str], pictures: bool, truths: bool
) -> Result:
    """The `Result` of an examined case; `seconds` is left at 0."""
    from pipelines.truth import compare, load_truth

    truth = load_truth(case.label, volume) if truths and case.label else None
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
    return Result(record=record, finding=finding, picture=_picture(volume, exam, truth) if pictures else None)


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


def _examine(detector: Detector, case: Case, volume: Volume, out_dir: Path, *, pictures: bool, truths: bool) -> Result:
    from anomaly.engines.writer import write_examination

    exam = detector.examine(volume, case=case.name)
    paths = write_examination(exam, volume.affine, out_dir)
    outputs = {kind: path.name for kind, path in paths.items()}
    return summarise(case, volume, exam, outputs=outputs, pictures=pictures, truths=truths)


def _picture(volume: Volume, exam: Examination, truth: Array | None) -> bytes:
    from pipelines.pictures import draw

    return draw(volume, exam, truth=truth)
