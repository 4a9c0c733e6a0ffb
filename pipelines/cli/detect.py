"""`healthytwin detect`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import (
    AllowGaps,
    Bundle,
    BundleSha256,
    Debug,
    Device,
    Json,
    Output,
    Precision,
    SiteCalibration,
)
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.record import RunRecord


def detect(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...", help="DICOM, NIfTI, NRRD, MGH, MetaImage files, folders or zip archives of them, lists."
        ),
    ],
    output: Output,
    bundle: Bundle = None,
    bundle_sha256: BundleSha256 = None,
    device: Device = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Draw the cases into report.html.")] = True,
    allow_gaps: AllowGaps = False,
    calibration: SiteCalibration = None,
    dicom: Annotated[
        bool, typer.Option("--dicom", help="Also write a DICOM segmentation and report of each DICOM series.")
    ] = False,
    precision: Precision = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find what is abnormal: DICOM or NIfTI in; masks, score maps, findings and a report out."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.bundles import pinned
        from pipelines.detect.run import detect as run_detect

        run = run_detect(
            paths,
            output,
            bundle=pinned(bundle, bundle_sha256),
            device=device,
            report=report,
            allow_gaps=allow_gaps,
            calibration=calibration,
            dicom=dicom,
            precision=precision,
        )
    tell(run, as_json, show_run)


def show_run(run: RunRecord) -> None:
    """Tables of what a run gave, and where to look."""
    from pipelines.cli import tables
    from pipelines.report import measures

    if not run.cases:
        typer.echo("nothing to do: no image file and no DICOM series found", err=True)
        tables.print_passed(run.passed_over)
        return
    tables.print_cases(run)
    if any(case.truth is not None for case in run.cases) and run.metrics is None:
        typer.echo()
        tables.print_truths(run)
    if run.metrics is not None:
        typer.echo()
        tables.print_measures(measures.measures(run.metrics))
    tables.print_bundles(run)
    counts = Counter(case.status for case in run.cases)
    numbers = f"{counts['done']} done, {counts['failed']} failed, {counts['skipped']} skipped"
    typer.echo(f"\n{numbers}, in {run.seconds:.0f} s: {run.output}")
    tables.print_passed(run.passed_over)
    if run.report:
        typer.echo(f"report: {Path(run.report).resolve()}")
