"""What is written for one case: mask, score map, finding, picture, DICOM segmentation and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.outputs.rules import OutputRules
from pipelines.reprocess.ledger.reasons import CaseError

if TYPE_CHECKING:
    from anomaly import Examination
    from data_prep import Volume
    from pipelines.reprocess.plan import Task


def write_outputs(task: Task, volume: Volume, exam: Examination, folder: Path, rules: OutputRules) -> dict[str, str]:
    """Write the outputs of one case.

    An empty mask is a normal result: it gives no segmentation, and a report that says so.

    Args:
        task: with the case.
        volume: the case's image.
        exam: of the volume.
        folder: empty.
        rules: of the site.

    Returns:
        File names under `mask`, `score`, `finding`, `picture`, `view`, `view_score`, `view_twin`, `seg`, `sr`, `sc`.

    Raises:
        CaseError: SEG_FAILED, SR_FAILED or SC_FAILED.
    """
    from anomaly.engines.writer import write_examination

    names = {kind: path.name for kind, path in write_examination(exam, volume.affine, folder).items()}
    case = exam.finding.case
    if rules.picture or rules.sc:
        from pipelines.report.picture import draw

        picture = draw(volume, exam)
    if rules.picture:
        names["picture"] = f"{case}.png"
        (folder / names["picture"]).write_bytes(picture)
    if rules.viewer:
        from pipelines.report.volumes import write_volumes

        names |= write_volumes(volume, exam, folder)
    stack = task.case.series.stack if task.case.series is not None else None
    if stack is None or not (rules.seg or rules.sr or rules.sc):
        return names
    from pipelines.outputs.dicom import DicomWriter

    writer = DicomWriter(stack, exam, key=task.job.key, rules=rules)
    segmentation = None
    if rules.seg and exam.mask.any():
        segmentation = _made("SEG_FAILED", writer.segmentation)
        names["seg"] = f"{case}_seg.dcm"
        segmentation.save_as(folder / names["seg"])
    if rules.sr:
        names["sr"] = f"{case}_sr.dcm"
        _made("SR_FAILED", writer.report, segmentation).save_as(folder / names["sr"])
    if rules.sc:
        names["sc"] = f"{case}_sc.dcm"
        _made("SC_FAILED", writer.capture, picture).save_as(folder / names["sc"])
    return names


def _made(code: str, make: Any, *arguments: Any) -> Any:
    """The object; highdicom raises errors of many types where a header does not hold what the standard asks for."""
    try:
        return make(*arguments)
    except (AttributeError, KeyError, TypeError, ValueError, NotImplementedError) as error:
        raise CaseError(code) from error
