"""The HTML report: one file, no network, one row per case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.files import without_folders, write_whole
from pipelines.measures import measures
from pipelines.page import render
from pipelines.record import CaseRecord, RunRecord

if TYPE_CHECKING:
    from anomaly import Finding
    from pipelines.examine import Result


def write_report(path: Path, run: RunRecord, results: Sequence[Result], *, title: str) -> Path:
    """Write the report of a run.

    Case names, hashes and numbers are shown; source paths are not, for they may name patients.

    Args:
        path: the HTML file.
        run: with `bundle` and, for an evaluation, `metrics`.
        results: its cases; failed and skipped ones get a section of their own.
        title: heading.
    """
    done = [result for result in results if result.finding is not None]
    html = render(
        "report.html.j2",
        title=title,
        run=run,
        done=[{"result": result, "words": verdict(result.finding)} for result in done if result.finding],
        failed=[_public(result.record) for result in results if result.record.status == "failed"],
        skipped=[_public(result.record) for result in results if result.record.status == "skipped"],
        first=done[0].finding if done else None,
        measures=measures(run.metrics or {}),
        abnormal=sum(bool(result.record.abnormal) for result in done),
        truths=[result.record.truth for result in done if result.record.truth is not None],
    )
    return write_whole(path, html)


def verdict(finding: Finding) -> str:
    """The result in words. An empty mask is a normal result."""
    regions = f"{len(finding.lesions)} region{'s' if len(finding.lesions) != 1 else ''} outlined"
    if finding.abnormal:
        return f"Abnormal: {regions}" if finding.lesions else "Abnormal score, no region to outline"
    return f"Score within the healthy range, {regions}" if finding.lesions else "Nothing abnormal found"


def _public(record: CaseRecord) -> CaseRecord:
    """A failed case whose reason names files without their folders."""
    reason = (record.reason or "").replace(record.source, record.case)
    return record.model_copy(update={"reason": without_folders(reason)})
