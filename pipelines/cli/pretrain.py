"""`healthytwin pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, Json, output
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.train.pretrain import PretrainRecord


def pretrain(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Datalists or folders: any volumes, healthy or not.")
    ],
    output: Annotated[Path, output("FILE", "The encoder's weights, a .pth file.")],
    depth: Annotated[int, typer.Option(help="Layers of the encoder: 10, 18, 34 or 50.")] = 10,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 600,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows in one step.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Two runs with one seed give the same weights.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make an encoder for `train --encoder-weights` from all the volumes there are, in MedicalNet's file layout."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.problems import CommandError
        from pipelines.train.pretrain import pretrain as run_pretrain

        if depth not in (10, 18, 34, 50):
            msg = f"--depth must be 10, 18, 34 or 50, got {depth}"
            raise CommandError(msg)
        run = run_pretrain(sources, output, depth=depth, steps=steps, batch_size=batch_size, seed=seed)
    tell(run, as_json, _show)


def _show(run: PretrainRecord) -> None:
    from pipelines.cli import tables

    tables.print_refused(run)
    if run.damage is not None:
        typer.echo(
            f"error under the damage of {run.held_out} volumes that were not trained on: {run.damage:.3f}, "
            f"{run.restored:.3f} once restored"
        )
    typer.echo(f"encoder: {run.output}")
