"""The commands of the hospital batch: `reprocess`, `status`, `retry`, `quarantine`, `export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.examples import WithExamples
from pipelines.cli.guard import guarded
from pipelines.cli.options import Bundle, Debug, Json
from pipelines.cli.receive import receive

if TYPE_CHECKING:
    from pipelines.reprocess.run import ReprocessRecord

Archive = Annotated[Path, typer.Argument(metavar="ARCHIVE", help="Folder that `reprocess -o` made.")]
SiteFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Settings of the site, YAML.")]

quarantine = typer.Typer(
    name="quarantine",
    cls=WithExamples,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Cases that could not be done, and why.",
)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (reprocess, receive, status, retry, report, export):
        app.command()(command)
    app.add_typer(quarantine)


def reprocess(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="Folder tree of DICOM series, NIfTI, NRRD; or a DICOMweb address."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="ARCHIVE", help="Folder for results and ledger.")],
    bundle: Bundle = None,
    site: SiteFile = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes. [default: one for two cores, at least one]")
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of the site, by `calibrate`. [default: the site file's, or the bundle's]"),
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
        as_json=as_json, debug=debug, when_stopped=lambda: "what is done is kept; the same command does the rest"
    ):
        from pipelines.cli.options import one_of
        from pipelines.reprocess.run import ENGINES
        from pipelines.reprocess.run import reprocess as run_reprocess

        run = run_reprocess(
            source,
            output,
            bundle=bundle,
            site=site,
            workers=workers,
            dry_run=dry_run,
            debug=debug,
            calibration=calibration,
            engine=one_of("--engine", engine, ENGINES) or "local",
        )
    if as_json:
        typer.echo(run.model_dump_json(indent=2))
    else:
        _tell(run)
    raise typer.Exit(int(run.exit_code))


def status(
    archive: Archive,
    site: SiteFile = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew every two seconds, until nothing is left to do or Ctrl-C.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Tell how many jobs of an archive are in which state, what is being worked on, and whether the scans moved."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.reprocess.archive import manage

        if watch:
            from pipelines.terminal.progress import watch as watch_progress

            watch_progress(lambda: manage.progress(archive, site=site))
        told = manage.status(archive, site=site)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    else:
        from pipelines.cli import tables

        tables.print_rows(("state", "jobs"), [(state, str(number)) for state, number in told["jobs"].items()])
        for running in told["running"]:
            typer.echo(f"running: {running['case']}, attempt {running['attempts']}, since {running['changed']}")
        if "drift" in told:
            _tell_drift(told["drift"]["warnings"], told["drift"]["notes"])


def retry(
    archive: Archive,
    cases: Annotated[list[str] | None, typer.Argument(metavar="[CASE]...", help="Cases. [default: all]")] = None,
    site: SiteFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let quarantined cases be tried again whose reason may have passed: a worker that died, a share that was gone."""
    _release(archive, cases or None, site, as_json=as_json, debug=debug, passing_only=True)


@quarantine.command(name="list")
def list_quarantined(archive: Archive, site: SiteFile = None, as_json: Json = False, debug: Debug = False) -> None:
    """List the quarantined cases with their reasons."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.reprocess.archive import manage

        rows = manage.quarantined(archive, site=site)
    if as_json:
        typer.echo(json.dumps({"quarantined": rows}, indent=2))
        return
    from pipelines.cli import tables

    cells = [(row["case"], row["code"], str(row["attempts"]), row["reason"], row["remedy"]) for row in rows]
    tables.print_rows(("case", "code", "attempts", "reason", "what helps"), cells)


@quarantine.command()
def release(
    archive: Archive,
    cases: Annotated[list[str], typer.Argument(metavar="CASE...", help="Cases, or beginnings of job keys.")],
    site: SiteFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let quarantined cases be tried again, whatever their reason."""
    _release(archive, cases, site, as_json=as_json, debug=debug)


def report(
    archive: Archive,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="[default: report.html in the archive]")
    ] = None,
    cases: Annotated[int, typer.Option(min=0, help="How many are drawn, those with the highest scores.")] = 20,
    site: SiteFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the archive's page: counts, quarantine, scores against the calibration, the most abnormal cases."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.reprocess.archive import manage

        path = manage.report(archive, output=output, cases=cases, site=site)
    typer.echo(json.dumps({"report": str(path)}, indent=2) if as_json else f"report: {path.resolve()}")


def export(
    archive: Archive,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="A .csv or .parquet file.")],
    site: SiteFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write one row a job (state, score, lesions, reason, timings) as CSV or Parquet."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.reprocess.archive import manage

        rows = manage.export(archive, output, site=site)
    typer.echo(json.dumps({"rows": rows, "output": str(output)}, indent=2) if as_json else f"{rows} jobs: {output}")


def _release(
    archive: Path, cases: list[str] | None, site: Path | None, *, as_json: bool, debug: bool, passing_only: bool = False
) -> None:
    with guarded(as_json=as_json, debug=debug):
        from pipelines.reprocess.archive import manage

        number = manage.release(archive, cases, site=site, passing_only=passing_only)
    told: dict[str, Any] = {"released": number}
    typer.echo(json.dumps(told, indent=2) if as_json else f"{number} cases will be tried again by the next run")


def _tell(run: ReprocessRecord) -> None:
    from pipelines.cli import tables

    if not sum(run.jobs.values()):
        typer.echo("nothing to do: no image file and no DICOM series found", err=True)
        return
    rows = [(refused.case, refused.code, refused.reason) for refused in run.quarantined]
    if rows:
        tables.print_rows(("quarantined", "code", "reason"), rows)
    states = ", ".join(f"{number} {state}" for state, number in run.jobs.items() if number)
    verb = "to examine" if run.dry_run else "examined now"
    typer.echo(f"\n{states}; {run.examined} {verb}, {sum(run.skipped.values())} skipped, in {run.seconds:.1f} s")
    if run.drift is not None:
        _tell_drift(run.drift.warnings, run.drift.notes)
    if run.not_fetched:
        typer.echo(f"{run.not_fetched} series did not come in full; the next run asks for them again", err=True)
    if run.sent:
        typer.echo("sending: " + ", ".join(f"{number} {what}" for what, number in run.sent.items() if number))
    if run.send_problem:
        typer.echo(f"{run.send_problem}; the next run tries again", err=True)
    if not run.dry_run:
        typer.echo(f"archive: {run.archive}\nreport: {Path(run.report).resolve()}")


def _tell_drift(warnings: list[str], notes: list[str]) -> None:
    for sentence in warnings:
        typer.echo(f"WARNING: {sentence}", err=True)
    for sentence in notes:
        typer.echo(f"note: {sentence}", err=True)
