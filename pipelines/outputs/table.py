"""`OUTPUTS`: one row for each kind of file that is written for a case; `detect` and `reprocess` both go by it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.machine.files import write_whole
from pipelines.outputs.rules import OutputRules

if TYPE_CHECKING:
    import numpy as np

    from anomaly import Examination
    from data_prep import Volume
    from data_prep.dicom.geometry import Stack
    from pipelines.outputs.dicom import DicomWriter
    from pipelines.report.volumes import Volumes

FAILED = "_failed:"  # in a finding's flag, between an output and why it could not be made
NIFTI, DICOM, PNG, JSON = "application/gzip", "application/dicom", "image/png", "application/json"


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What outputs are made from; what several of them need is made once.

    Args:
        volume: the case's image.
        exam: on the volume's grid.
        truth: the true mask on that grid, for the picture.
        stack: of the source's slices; None: the source is no DICOM series, and no DICOM object is made.
        key: that the UIDs of DICOM objects follow from; the same key gives the same objects.
        rules: of the site.
    """

    volume: Volume
    exam: Examination
    truth: np.ndarray | None = None
    stack: Stack | None = None
    key: str = ""
    rules: OutputRules = field(default_factory=OutputRules)

    @cached_property
    def picture(self) -> bytes:
        """The most abnormal slices, PNG."""
        from pipelines.report.picture import draw

        return draw(self.volume, self.exam, truth=self.truth)

    @cached_property
    def volumes(self) -> Volumes:
        """Small volumes for the viewer of a report."""
        from pipelines.report.volumes import make_volumes

        return make_volumes(self.volume, self.exam)

    @cached_property
    def dicom(self) -> DicomWriter | None:
        """Makes the DICOM objects; None: the source is no DICOM series."""
        from pipelines.outputs.dicom import DicomWriter

        if self.stack is None:
            return None
        return DicomWriter(self.stack, self.exam, key=self.key, rules=self.rules)

    @cached_property
    def segmentation(self) -> Any | None:
        """The mask as a DICOM segmentation; None: it is empty, not wanted, or the source is no DICOM series."""
        return self.dicom.segmentation() if self.rules.seg and self.dicom is not None else None


@dataclass(frozen=True, kw_only=True)
class Output:
    """One kind of file.

    Args:
        kind: its name in `run.json`, `job.json` and the ledger.
        ending: what stands behind the case's name in the name of the file.
        media: its media type.
        rule: the field of `OutputRules` that asks for it; None: it is always written.
        make: gives the file's bytes, or None where this case has no such file (which is normal); None: it is a part
            of the result, which `write_examination` writes.
    """

    kind: str
    ending: str
    media: str
    rule: str | None = None
    make: Callable[[Examined], bytes | None] | None = None

    def file(self, case: str) -> str:
        """The file's name for a case.

        >>> OUTPUTS["mask"].file("scan")
        'scan_mask.nii.gz'
        """
        return f"{case}{self.ending}"


def _segmentation(examined: Examined) -> bytes | None:
    return None if examined.segmentation is None else _saved(examined.segmentation)


def _report(examined: Examined) -> bytes | None:
    if examined.dicom is None:
        return None
    try:
        segmentation = examined.segmentation
    except Exception:  # that of the segmentation, which says so itself: the report stands without it
        segmentation = None
    return _saved(examined.dicom.report(segmentation))


def _capture(examined: Examined) -> bytes | None:
    return None if examined.dicom is None else _saved(examined.dicom.capture(examined.picture))


def _saved(dataset: Any) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


OUTPUTS = {
    row.kind: row
    for row in (
        Output(kind="mask", ending="_mask.nii.gz", media=NIFTI),
        Output(kind="score", ending="_score.nii.gz", media=NIFTI),
        Output(kind="finding", ending=".json", media=JSON),
        Output(kind="picture", ending=".png", media=PNG, rule="picture", make=lambda made: made.picture),
        Output(kind="view", ending="_view.nii.gz", media=NIFTI, rule="viewer", make=lambda made: made.volumes.image),
        Output(
            kind="view_score",
            ending="_view_score.nii.gz",
            media=NIFTI,
            rule="viewer",
            make=lambda made: made.volumes.score,
        ),
        Output(
            kind="view_twin",
            ending="_view_twin.nii.gz",
            media=NIFTI,
            rule="viewer",
            make=lambda made: made.volumes.twin,
        ),
        Output(kind="seg", ending="_seg.dcm", media=DICOM, rule="seg", make=_segmentation),
        Output(kind="sr", ending="_sr.dcm", media=DICOM, rule="sr", make=_report),
        Output(kind="sc", ending="_sc.dcm", media=DICOM, rule="sc", make=_capture),
    )
}
RESULT = [row for row in OUTPUTS.values() if row.make is None]  # what a case is examined for
TO_SEND = [row.kind for row in OUTPUTS.values() if row.media == DICOM]  # what a PACS takes


def result_files(case: str) -> dict[str, str]:
    """The names of a case's mask, score map and finding, by kind."""
    return {row.kind: row.file(case) for row in RESULT}


def extras(rules: OutputRules) -> list[Output]:
    """What a site wants written beside the result."""
    return [row for row in OUTPUTS.values() if row.rule is not None and getattr(rules, row.rule)]


def write_extras(
    examined: Examined, folder: Path, rows: Iterable[Output]
) -> tuple[dict[str, str], dict[str, Exception]]:
    """Write what is made about a result; one that cannot be made stops neither the others nor the case.

    Args:
        examined: the case.
        folder: that is there.
        rows: what is wanted.

    Returns:
        The names of the files that are written, and the errors of those that cannot be made; both by kind.
    """
    names: dict[str, str] = {}
    faults: dict[str, Exception] = {}
    for row in rows:
        assert row.make is not None
        try:
            content = row.make(examined)
        except Exception as error:  # highdicom and matplotlib raise errors of many types
            faults[row.kind] = error
            continue
        if content is not None:
            names[row.kind] = row.file(examined.exam.finding.case)
            write_whole(folder / names[row.kind], content)
    return names, faults
