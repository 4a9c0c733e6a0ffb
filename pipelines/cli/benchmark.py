"""The command `healthytwin benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import BundleSha256, Debug, Device, Json, Output, names
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.benchmark.record import BenchmarkRecord


def benchmark(
    datalist: Annotated[Path, typer.Argument(metavar="DATALIST", help="dataset.json, or the folder that has it.")],
    output: Output,
    methods: Annotated[
        str, typer.Option("--methods", metavar="NAME,...", help="Methods to compare. [default: all that can run here]")
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Small networks and short trainings, for two cores and an hour.")
    ] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Take HealthyTwin from this bundle, and its preparation for all methods."),
    ] = None,
    bundle_sha256: BundleSha256 = None,
    margin: Annotated[
        float, typer.Option(min=0, metavar="MM", help="Leave out so much below the surface, for all: 12 for a skull.")
    ] = 0.0,
    backbone: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="timm checkpoint of ResNet-18 for anomalib's models. [default: random weights]"
        ),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Measure in this box of each case alone: [[i0, i1], [j0, j1], [k0, k1]]."),
    ] = None,
    section: Annotated[str, typer.Option(help="Section of the datalist to measure on.")] = "test",
    device: Device = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the trainings and of the bootstrap.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare methods on your data: one split, one preparation, intervals, costs. Resumes where it stopped."""
    with guarded(
        as_json=as_json,
        debug=debug,
        when_stopped=lambda: "Finished methods are kept; run the same command to continue.",
    ):
        from pipelines.benchmark.run import benchmark as run_benchmark
        from pipelines.benchmark.settings import FULL, QUICK
        from pipelines.bundles import find_bundle, pinned

        record = run_benchmark(
            datalist,
            output,
            methods=names(methods) or [],
            settings=QUICK if quick else FULL,
            device=device,
            seed=seed,
            bundle=None if bundle is None else find_bundle(pinned(bundle, bundle_sha256)),
            margin=margin,
            box_key=box,
            backbone=backbone,
            section=section,
        )
    tell(record, as_json, _show)


def _show(record: BenchmarkRecord) -> None:
    from pipelines.cli import tables

    tables.print_leaderboard(record)
    typer.echo(f"\nleaderboard: {Path(record.page).resolve()}")
