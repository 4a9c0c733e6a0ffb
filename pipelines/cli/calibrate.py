"""The command `healthytwin calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import AllowGaps, BundleSha256, Debug, Device, Json, output
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.evaluate.calibrate import CalibrateRecord


def calibrate(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Healthy scans of the site: a folder, or a datalist.")
    ],
    output: Annotated[Path, output("FILE", "The calibration to write, JSON.")],
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Bundle to calibrate. [default: $HEALTHYTWIN_BUNDLE or the one that is shipped]"
        ),
    ] = None,
    bundle_sha256: BundleSha256 = None,
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
        from pipelines.bundles import pinned
        from pipelines.evaluate.calibrate import calibrate as run_calibrate

        run = run_calibrate(
            source,
            output,
            bundle=pinned(bundle, bundle_sha256),
            section=section,
            alpha=alpha,
            device=device,
            allow_gaps=allow_gaps,
        )
    tell(run, as_json, _show)


def _show(run: CalibrateRecord) -> None:
    from pipelines.cli import tables

    tables.print_refused(run)
    typer.echo(f"note: {run.promise}")
    for name, before in run.thresholds_before.items():
        typer.echo(f"{name} threshold: {_number(run.thresholds[name])}, the bundle's is {_number(before)}")
    typer.echo(f"{run.scans} scans of {run.patients} patients, in {run.seconds:.0f} s\ncalibration: {run.calibration}")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
