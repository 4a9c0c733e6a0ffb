"""`healthytwin synthesise`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, Json, Output, names, one_of
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.cohort.synthesise import SynthesiseRecord

_Range = tuple[float, float]


def synthesise(
    source: Annotated[Path, typer.Argument(metavar="LABELS", help="Label maps of whole heads: a file, or a folder.")],
    output: Output,
    contrast: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="Of every head one of each: flair, t1, t2, pd, dwi, random.")
    ] = "flair",
    copies: Annotated[int, typer.Option(min=1, help="Scans of each contrast, each of its own draw.")] = 1,
    stripped: Annotated[str, typer.Option(metavar="HOW", help="Without the skull: no, yes, or half of them.")] = "no",
    pixel: Annotated[_Range, typer.Option(metavar="MM MM", help="Smallest and largest pixel.")] = (0.9, 1.1),
    slices: Annotated[_Range, typer.Option(metavar="MM MM", help="From slice to slice.")] = (3.0, 5.0),
    section: Annotated[str, typer.Option(help="Section of the datalist that is written.")] = "validation",
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other scans.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make healthy scans of any contrast from label maps, to calibrate, test or train with."""
    with guarded(as_json=as_json, debug=debug):
        from data_prep.heads import HeadOrder
        from pipelines.cohort.synthesise import STRIPPED
        from pipelines.cohort.synthesise import synthesise as run_synthesise
        from pipelines.problems import CommandError

        for option, (low, high) in (("--pixel", pixel), ("--slices", slices)):
            if not 0.3 <= low <= high <= 10:
                msg = f"{option} must be two lengths from 0.3 to 10 mm, the smaller one first, got {low:g} {high:g}"
                raise CommandError(msg)
        order = HeadOrder(
            contrasts=names(contrast) or [],
            copies=copies,
            stripped=STRIPPED[str(one_of("--stripped", stripped, list(STRIPPED)))],
            pixel=pixel,
            slices=slices,
            seed=seed,
        )
        run = run_synthesise(source, output, order=order, section=section)
    tell(run, as_json, _show)


def _show(run: SynthesiseRecord) -> None:
    from pipelines.cli import tables

    tables.print_refused(run)
    typer.echo(f"{run.scans} scans of {run.heads} heads, in {run.seconds:.0f} s\n{run.datalist}")
