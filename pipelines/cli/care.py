"""`healthytwin verify` and `where`: are an archive's results as they were written, and whose are they."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Archive, Debug, Json, SiteFile
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.reprocess.archive.care import VerifyRecord


def verify(archive: Archive, site: SiteFile = None, as_json: Json = False, debug: Debug = False) -> None:
    """Find results that are missing or were changed, by their SHA-256; the next `reprocess` makes them again."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.reprocess.archive import manage

        record = manage.verify(archive, site=site)
    tell(record, as_json, _show_faults)


def where(
    archive: Archive,
    cases: Annotated[list[str], typer.Argument(metavar="CASE...", help="Cases, or beginnings of job keys.")],
    site: SiteFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say which study and series a case comes from, where the archive's ledger is."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.reprocess.archive import manage

        rows = manage.where(archive, cases, site=site)
    tell({"cases": rows}, as_json, _show_origins)


def _show_faults(record: VerifyRecord) -> None:
    from pipelines.cli import tables

    if record.faults:
        cells = [(fault.case, fault.file, fault.fault) for fault in record.faults]
        tables.print_rows(("case", "file", "fault"), cells)
        typer.echo("`healthytwin reprocess` with the same source makes these results again")
    whole = record.jobs - len({fault.key for fault in record.faults})
    typer.echo(f"{whole} of {record.jobs} results are as they were written")


def _show_origins(found: dict[str, Any]) -> None:
    for row in found["cases"]:
        typer.echo(f"case:     {row['case']} ({row['state']}, job {row['key'][:20]})")
        for name in ("study", "series", "sequence"):
            typer.echo(f"{name + ':':<10}{row[name] or 'not known'}")
        typer.echo(f"voxels:   {row['voxel_mm'] or 'not known'}, {row['slices'] or '?'} slices")
