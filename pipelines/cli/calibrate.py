"""The command `healthytwin calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import AllowGaps, Debug, Device, Json


def calibrate(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Healthy scans of the site: a folder, or a datalist.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The calibration to write, JSON.")],
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Whose weights. [default: $HEALTHYTWIN_BUNDLE or the one that is shipped]"),
    ] = None,
    section: Annotated[str, typer.Option(help="Section of the datalist.")] = "validation",
    alpha: Annotated[
        float | None,
        typer.Option(min=0.001, max=0.5, help="False alarms on healthy scans to keep to. [default: the bundle's]"),
    ] = None,
    device: Device = None,
    allow_gaps: AllowGaps = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Set the site's own thresholds for a bundle from its healthy scans; nothing is trained."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.evaluate.calibrate import calibrate as run_calibrate

        run = run_calibrate(
            source, output, bundle=bundle, section=section, alpha=alpha, device=device, allow_gaps=allow_gaps
        )
    if as_json:
        typer.echo(run.model_dump_json(indent=2))
    else:
        from pipelines.cli import tables

        tables.print_refused(run)
        typer.echo(f"note: {run.promise}")
        for name, before in run.thresholds_before.items():
            typer.echo(f"{name} threshold: {_number(run.thresholds[name])}, the bundle's is {_number(before)}")
        typer.echo(f"{run.scans} scans of {run.patients} patients, in {run.seconds:.0f} s\ncalibration: {output}")
    raise typer.Exit(int(run.exit_code))


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
