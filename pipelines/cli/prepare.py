"""The command `healthytwin prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import AllowGaps, Debug, Json, Output
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from data_prep.cohort.classes import Classes
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
        typer.Option(
            metavar="FOLDER,...",
            help="Folders of healthy cases, if each class has one; or who is healthy in a table: group=CTRL.",
        ),
    ] = None,
    abnormal: Annotated[str | None, typer.Option(metavar="FOLDER,...", help="Folders of abnormal cases.")] = None,
    masks: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Folder of their masks, or the end of masks' names, such as _mask."),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="ixi, oasis1, oasis3, brats, brats2023, atlas, mslub, bids, mvtec, bmad, medianomaly, classes, "
            "datalist, folder.",
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
        by_table = healthy is not None and "=" in healthy
        run = run_prepare(
            sources,
            output,
            steps=steps,
            classes=_classes(names(None if by_table else healthy), names(abnormal), masks),
            layout=one_of("--layout", layout, NAMES) or "auto",
            sequences=names(sequence) or [],
            healthy=healthy if by_table else None,
            shares=(train / total, validate / total, test / total),
            seed=seed,
            exclude=exclude,
            allow_gaps=allow_gaps,
        )
    tell(run, as_json, _show)


def _classes(healthy: list[str] | None, abnormal: list[str] | None, masks: str | None) -> Classes | None:
    """The folders of each class; None where none is named."""
    from data_prep.cohort.classes import Classes
    from pipelines.problems import CommandError

    if healthy:
        return Classes(healthy=tuple(healthy), abnormal=tuple(abnormal or ()), masks=masks)
    if abnormal or masks:
        msg = "--abnormal and --masks need --healthy, the folders of the healthy cases"
        raise CommandError(msg)
    return None


def _show(run: PrepareRecord) -> None:
    from pipelines.cli import tables

    for sentence in run.people:
        typer.echo(sentence)
    tables.print_scans(run)
    typer.echo(f"datalist: {run.datalist}" if run.datalist else "nothing found: no scan at all", err=not run.datalist)
    if run.contact_sheet:
        typer.echo(f"contact sheet, to be looked at: {Path(run.contact_sheet).resolve()}")
