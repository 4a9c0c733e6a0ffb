"""`healthytwin status`, `report` and `export`: what an archive of `reprocess` holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Archive, Debug, Json, SiteFile, output
from pipelines.cli.tell import tell


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
        found = manage.status(archive, site=site)
    tell(found, as_json, _show_status)


def report(
    archive: Archive,
    output: Annotated[Path | None, output("FILE", "[default: report.html in the archive]")] = None,
    cases: Annotated[int, typer.Option(min=0, help="How many are drawn, those with the highest scores.")] = 20,
    site: SiteFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the archive's page: counts, quarantine, scores against the calibration, the most abnormal cases."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.reprocess.archive import manage

        path = manage.report(archive, output=output, cases=cases, site=site)
    tell({"report": str(path)}, as_json, lambda _: typer.echo(f"report: {path.resolve()}"))


def export(
    archive: Archive,
    output: Annotated[Path, output("FILE", "A .csv or .parquet file.")],
    site: SiteFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write one row per job (state, score, lesions, reason, timings) as CSV or Parquet."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.reprocess.archive import manage

        rows = manage.export(archive, output, site=site)
    tell({"rows": rows, "output": str(output)}, as_json, lambda _: typer.echo(f"{rows} jobs: {output}"))


def _show_status(found: dict[str, Any]) -> None:
    from pipelines.cli import tables

    tables.print_rows(("state", "jobs"), [(state, str(number)) for state, number in found["jobs"].items()])
    for running in found["running"]:
        typer.echo(f"running: {running['case']}, attempt {running['attempts']}, since {running['changed']}")
    if "drift" in found:
        tables.print_drift(found["drift"]["warnings"], found["drift"]["notes"])
