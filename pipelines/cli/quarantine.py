"""`healthytwin quarantine list`, `quarantine release` and `retry`: cases that could not be done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Archive, Debug, Json, SiteFile
from pipelines.cli.tell import tell


def list_quarantined(archive: Archive, site: SiteFile = None, as_json: Json = False, debug: Debug = False) -> None:
    """List the quarantined cases with their reasons."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.reprocess.archive import manage

        rows = manage.quarantined(archive, site=site)
    tell({"quarantined": rows}, as_json, _show_rows)


def release(
    archive: Archive,
    cases: Annotated[list[str], typer.Argument(metavar="CASE...", help="Cases, or beginnings of job keys.")],
    site: SiteFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let quarantined cases be tried again, whatever their reason."""
    _release(archive, cases, site, as_json=as_json, debug=debug)


def retry(
    archive: Archive,
    cases: Annotated[list[str] | None, typer.Argument(metavar="[CASE]...", help="Cases. [default: all]")] = None,
    site: SiteFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let quarantined cases be tried again whose reason may have passed: a worker that died, a share that was gone."""
    _release(archive, cases or None, site, as_json=as_json, debug=debug, passing_only=True)


def _release(
    archive: Path, cases: list[str] | None, site: Path | None, *, as_json: bool, debug: bool, passing_only: bool = False
) -> NoReturn:
    with guarded(as_json=as_json, debug=debug):
        from pipelines.reprocess.archive import manage

        number = manage.release(archive, cases, site=site, passing_only=passing_only)
    words = f"{number} cases will be tried again by the next run"
    tell({"released": number}, as_json, lambda _: typer.echo(words))


def _show_rows(found: dict[str, Any]) -> None:
    from pipelines.cli import tables

    columns = ("case", "sequence", "slices", "code", "attempts", "reason", "suggested fix")
    cells = [
        (
            row["case"],
            row["sequence"] or "",
            str(row["slices"] or ""),
            row["code"],
            str(row["attempts"]),
            row["reason"],
            row["remedy"],
        )
        for row in found["quarantined"]
    ]
    tables.print_rows(columns, cells)
