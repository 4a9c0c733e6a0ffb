"""The command `healthytwin prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import AllowGaps, Debug, Json, Output
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.cohort.record import PrepareRecord


def prepare(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Folders of scans: plain, BIDS, or a public data set.")
    ],
    output: Output,
    sequence: Annotated[
        str | None,
        typer.Option(metavar="T1,...", help="Those wanted; several make one scan of a visit."),
    ] = None,
    healthy: Annotated[
        str | None,
        typer.Option(metavar="COLUMN=WORD", help="Who is healthy in a table of people, such as group=CTRL."),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="ixi, oasis1, oasis3, brats, brats2023, atlas, mslub, bids, datalist, folder."
        ),
    ] = "auto",
    split: Annotated[
        str, typer.Option(metavar="N,N,N", help="Percent of the healthy patients to train, validate and test.")
    ] = "70,15,15",
    seed: Annotated[int, typer.Option(min=0, help="Another seed divides the patients in another way.")] = 0,
    n4: Annotated[bool, typer.Option("--n4", help="Correct the bias field (N4).")] = False,
    skull_strip: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Remove the skull by an installed tool, such as hd-bet.")
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(metavar="MM,MM,MM", help="Resample to this voxel size along the scan's axes.")
    ] = None,
    standardise: Annotated[
        str | None, typer.Option(metavar="HOW", help="Bring intensities to one scale: percentile or nyul.")
    ] = None,
    exclude: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Names of scans to leave out, as the contact sheet saves them.")
    ] = None,
    allow_gaps: AllowGaps = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Build a datalist: scans divided by patient, checked for leakage, prepared once, shown on a contact sheet."""
    with guarded(
        as_json=as_json, debug=debug, when_stopped=lambda: "Prepared scans are kept; run the same command to continue."
    ):
        from data_prep.cohort.sources import NAMES
        from data_prep.cohort.steps import Steps
        from pipelines.cli.options import names, numbers, one_of
        from pipelines.cohort.prepare import prepare as run_prepare

        steps = Steps(
            n4=n4,
            skull_strip=skull_strip,
            spacing=None if spacing is None else numbers("--spacing", spacing, at_least=0.05, at_most=50.0),
            standardise=one_of("--standardise", standardise, ("percentile", "nyul")),
        )
        train, validate, test = numbers("--split", split, at_least=0.0, at_most=100.0)
        total = train + validate + test or 1.0
        run = run_prepare(
            sources,
            output,
            steps=steps,
            layout=one_of("--layout", layout, NAMES) or "auto",
            sequences=names(sequence) or [],
            healthy=healthy,
            shares=(train / total, validate / total, test / total),
            seed=seed,
            exclude=exclude,
            allow_gaps=allow_gaps,
        )
    tell(run, as_json, _show)


def _show(run: PrepareRecord) -> None:
    from pipelines.cli import tables

    for sentence in run.people:
        typer.echo(sentence)
    tables.print_scans(run)
    typer.echo(f"datalist: {run.datalist}" if run.datalist else "nothing found: no scan at all", err=not run.datalist)
    if run.contact_sheet:
        typer.echo(f"contact sheet, to be looked at: {Path(run.contact_sheet).resolve()}")
