"""`healthytwin inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import AllowGaps, Debug, Json
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.detect.inspect import InspectRecord


def inspect(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files, folders, zip archives: what is about to be used.")
    ],
    allow_gaps: AllowGaps = False,
    modality: Annotated[
        list[str] | None,
        typer.Option(metavar="MR", help="A DICOM modality that is wanted. [default: MR, CT, PT, films]"),
    ] = None,
    pixels: Annotated[bool, typer.Option("--pixels", help="Decode every series: slower, and finds more.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that read headers. [default: one for each core, at most 8]")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List the series found and whether each would be accepted, and if not, why."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.detect.inspect import inspect as run_inspect

        run = run_inspect(paths, allow_gaps=allow_gaps, modalities=modality, pixels=pixels, workers=workers)
    tell(run, as_json, _show)


def _show(run: InspectRecord) -> None:
    from pipelines.cli import tables

    tables.print_series(run)
    counts = ", ".join(f"{run.counts[verdict]} {verdict}" for verdict in ("ACCEPT", "SKIP", "QUARANTINE"))
    typer.echo(f"\n{counts}, in {run.seconds:.1f} s" if run.series else "nothing found: no image at all", err=True)
    if run.remark:
        typer.echo(run.remark, err=True)
