"""One case through reader, detector, writer and picture; whatever goes wrong stays with the case."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.files import printable
from pipelines.problems import causes, one_line
from pipelines.record import CaseRecord

if TYPE_CHECKING:
    from anomaly import Detector, Examination, Finding
    from data_prep import Case, Volume
    from pipelines.views import Views

VIEWED = 20  # cases with volumes for the viewer of a report


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is known of one case once it has been worked on.

    Args:
        record: its line in `run.json`.
        finding: None where it failed.
        picture: a PNG of its most abnormal slices; None where it failed or no report was wanted.
        views: volumes for the viewer of a report; None where it has none.
    """

    record: CaseRecord
    finding: Finding | None = None
    picture: bytes | None = None
    views: Views | None = None


def examine_all(
    detector: Detector,
    cases: Iterable[Case],
    out_dir: Path,
    *,
    pictures: bool = True,
    views: bool = False,
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
        views: keep volumes for the viewer, of the 20 cases with the highest scores.
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
        return summarise(case, volume, exam, outputs=outputs, pictures=pictures, views=views, truths=truths)

    results: list[Result] = []
    for case in cases:
        on_case(case.name)
        results.append(safely(case, work))
        spare_views(results)
    return results


def spare_views(results: list[Result]) -> None:
    """Drop the volumes of the lowest score where more than 20 results have some, so that memory stays bounded."""
    viewed = [index for index, result in enumerate(results) if result.views is not None]
    if len(viewed) > VIEWED:
        lowest = min(viewed, key=lambda index: results[index].record.score or 0.0)
        results[lowest] = replace(results[lowest], views=None)


def summarise(
    case: Case,
    volume: Volume,
    exam: Examination,
    *,
    outputs: dict[str, str],
    pictures: bool,
    truths: bool,
    views: bool = False,
) -> Result:
    """The `Result` of an examined case; `seconds` is left at 0."""
    from pipelines.pictures import draw
    from pipelines.truth import compare, load_truth
    from pipelines.views import make_views

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
    return Result(
        record=record,
        finding=finding,
        picture=draw(volume, exam, truth=truth) if pictures else None,
        views=make_views(volume, exam) if views else None,
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
