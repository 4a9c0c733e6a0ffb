"""`healthytwin reprocess`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Bundle, BundleSha256, Debug, Json, SiteFile, output
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.reprocess.run import ReprocessRecord


def reprocess(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="Folder tree of DICOM series, NIfTI, NRRD; or a DICOMweb address."),
    ],
    output: Annotated[Path, output("ARCHIVE", "Folder for results and ledger.")],
    bundle: Bundle = None,
    bundle_sha256: BundleSha256 = None,
    site: SiteFile = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes. [default: one for two cores, at least one]")
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Site calibration written by `calibrate`. [default: the site file's, or the bundle's]"
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="fp32, bf16, or auto, bf16 where the processor has it. [default: the site file's]"
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="local: processes of this machine; ray: actors (extra [ray]).")
    ] = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, and do nothing.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Work through an archive overnight: stop it at any time, start it again, every study is done once."""
    with guarded(
        as_json=as_json, debug=debug, when_stopped=lambda: "Finished cases are kept; run the same command to continue."
    ):
        from pipelines.bundles import pinned
        from pipelines.cli.options import one_of
        from pipelines.reprocess.run import ENGINES
        from pipelines.reprocess.run import reprocess as run_reprocess

        run = run_reprocess(
            source,
            output,
            bundle=pinned(bundle, bundle_sha256),
            site=site,
            workers=workers,
            dry_run=dry_run,
            debug=debug,
            calibration=calibration,
            precision=precision,
            engine=one_of("--engine", engine, ENGINES) or "local",
        )
    tell(run, as_json, _show)


def _show(run: ReprocessRecord) -> None:
    from pipelines.cli import tables

    if run.not_fetched:
        why = ", ".join(f"{number} x {reason}" for reason, number in sorted(run.not_fetched_why.items()))
        typer.echo(f"{run.not_fetched} series did not come in full ({why}); the next run asks for them again", err=True)
    if not sum(run.jobs.values()):
        if not run.not_fetched:
            typer.echo("nothing to do: no image file and no DICOM series found", err=True)
        tables.print_passed(run.passed_over)
        return
    rows = [(refused.case, refused.code, refused.reason) for refused in run.quarantined]
    if rows:
        tables.print_rows(("quarantined", "code", "reason"), rows)
    states = ", ".join(f"{number} {state}" for state, number in run.jobs.items() if number)
    verb = "to examine" if run.dry_run else "examined now"
    typer.echo(f"\n{states}; {run.examined} {verb}, {sum(run.skipped.values())} skipped, in {run.seconds:.1f} s")
    tables.print_passed(run.passed_over)
    if run.drift is not None:
        tables.print_drift(run.drift.warnings, run.drift.notes)
    if run.sent:
        typer.echo("sending: " + ", ".join(f"{number} {what}" for what, number in run.sent.items() if number))
    if run.send_problem:
        typer.echo(f"{run.send_problem}; the next run tries again", err=True)
    if not run.dry_run:
        typer.echo(f"archive: {run.archive}\nreport: {Path(run.report).resolve()}")
