"""`healthytwin plant`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, Json, Output, names
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.cohort.plant import PlantRecord


def plant(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Healthy scans: dataset.json or its folder, or a folder of scans.")
    ],
    output: Output,
    families: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="What to plant; for an honest test, none that was trained on.")
    ] = "cored,scattered",
    section: Annotated[
        str | None, typer.Option(help="Section of the datalist. [default: the first with cases]")
    ] = None,
    copies: Annotated[int, typer.Option(min=1, help="With lesions, of each scan.")] = 1,
    radius: Annotated[
        tuple[float, float], typer.Option(metavar="MM MM", help="Smallest and largest half width of a lesion.")
    ] = (6.0, 30.0),
    darker: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Part of the lesions of either kind that is dark."),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH", help="CT: HU in which lesions lie. [default: those of the soft tissue]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed plants other lesions.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a labelled test cohort from healthy scans: each as it is, and again with lesions planted into it."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.cohort.plant import plant as run_plant
        from pipelines.cohort.windows import window_of

        run = run_plant(
            source,
            output,
            families=names(families) or [],
            section=section,
            copies=copies,
            radius=radius,
            darker=darker,
            window=None if window is None else window_of(window),
            seed=seed,
        )
    tell(run, as_json, _show)


def _show(run: PlantRecord) -> None:
    from pipelines.cli import tables

    tables.print_refused(run)
    for name in run.bare:
        typer.echo(f"left out: {name}: no lesion could be seen", err=True)
    typer.echo(f"{run.healthy} healthy scans, {run.planted} with lesions, in {run.seconds:.0f} s\n{run.datalist}")
