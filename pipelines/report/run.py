"""The HTML report: one file, no network, one row per case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import without_folders
from pipelines.machine.files import write_whole
from pipelines.record import CaseRecord, RunRecord
from pipelines.report.cases import show
from pipelines.report.measures import measures
from pipelines.report.page import render
from pipelines.report.viewer import find_scripts

if TYPE_CHECKING:
    from pipelines.report.result import Result


def write_report(path: Path, run: RunRecord, results: Sequence[Result], *, title: str) -> Path:
    """Write the report of a run.

    Case names, hashes and numbers are shown; source paths are not, for they may name patients.

    Args:
        path: the HTML file.
        run: with `bundle` and, for an evaluation, `metrics`.
        results: its cases; failed and skipped ones get a section of their own.
        title: heading.

    Raises:
        CommandError: the viewer's script is another one.
    """
    scripts = find_scripts() if any(result.volumes for result in results) else None
    done = show(results, scripts)
    html = render(
        "report.html.j2",
        title=title,
        run=run,
        done=done,
        scripts=scripts if any(item.result.volumes for item in done) else None,
        failed=[_public(result.record) for result in results if result.record.status == "failed"],
        skipped=[_public(result.record) for result in results if result.record.status == "skipped"],
        first=done[0].result.finding if done else None,
        measures=measures(run.metrics or {}),
        abnormal=sum(bool(item.result.record.abnormal) for item in done),
        truths=[item.result.record.truth for item in done if item.result.record.truth is not None],
    )
    return write_whole(path, html)


def _public(record: CaseRecord) -> CaseRecord:
    """A failed case whose reason names files without their folders."""
    reason = (record.reason or "").replace(record.source, record.case)
    return record.model_copy(update={"reason": without_folders(reason)})
