"""The commands that learn from healthy scans, and the one that plants lesions to test with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.options import Debug, Json, Output
from pipelines.problems import guarded


def train(
    datalist: Annotated[
        Path, typer.Argument(metavar="DATALIST", help="dataset.json or its folder, or a folder of healthy scans.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="Folder of the bundle to make.")],
    like: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Take preparation and anomalies from this bundle, not from the scans."),
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Go on from this bundle's weights; their licence then binds yours. [default: the shipped one]",
        ),
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Begin with nothing learned, and no licence but yours.")
    ] = False,
    encoder_weights: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Begin with a MedicalNet encoder alone: a file, or hub:owner/repo/file."),
    ] = None,
    families: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Anomalies to plant; twice named, twice as often."),
    ] = None,
    held_out_families: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Anomalies to plant in validation, to choose the checkpoint.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Validations, and rests to resume from.")] = 10,
    steps: Annotated[int, typer.Option(min=1, help="Steps of an epoch.")] = 140,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows in one step.")] = 3,
    patience: Annotated[int, typer.Option(min=1, help="End after so many validations without a better one.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Two trainings with one seed give the same weights.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train and calibrate a bundle on healthy scans alone; no label, no config to edit."""

    def when_stopped() -> str:
        from pipelines.train import can_resume

        if can_resume(output):
            return "the same command with --resume goes on after the last whole epoch"
        return "no epoch was whole yet; the same command begins again"

    with guarded(as_json=as_json, debug=debug, when_stopped=when_stopped):
        from pipelines.bundles import shipped_bundle
        from pipelines.problems import CommandError
        from pipelines.train import train as run_train

        if from_scratch and (start_from or encoder_weights):
            msg = "--from-scratch goes with neither --start-from nor --encoder-weights"
            raise CommandError(msg)
        if not (from_scratch or start_from or encoder_weights):
            start_from = shipped_bundle()
        settings = {
            "epochs": epochs,
            "steps": steps,
            "batch_size": batch_size,
            "patience": patience,
            "seed": seed,
            "families": _names(families),
            "held_out_families": _names(held_out_families),
        }
        run = run_train(
            datalist,
            output,
            like=like,
            start_from=start_from,
            encoder_weights=encoder_weights,
            settings={key: value for key, value in settings.items() if value is not None},
            resume=resume,
        )
    if as_json:
        typer.echo(run.model_dump_json(indent=2))
    else:
        from pipelines import console

        console.print_refused(run)
        for note in (*run.notes, run.promise):
            typer.echo(f"note: {note}")
        best = "not measured" if run.voxel_ap is None else f"{run.voxel_ap:.3f}"
        typer.echo(
            f"\n{run.training} scans trained on, {run.validation} kept back; voxel AP on planted anomalies {best}; "
            f"{run.seconds / 60:.1f} min"
        )
        typer.echo(f"pictures of the training: {run.pictures}\nbundle: {run.bundle}")
    raise typer.Exit(int(run.exit_code))


def pretrain(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Datalists or folders: any volumes, healthy or not.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The encoder's weights, a .pth file.")],
    depth: Annotated[int, typer.Option(help="Layers of the encoder: 10, 18, 34 or 50.")] = 10,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 600,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows in one step.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Two runs with one seed give the same weights.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make an encoder for `train --encoder-weights` from all the volumes there are, in MedicalNet's file layout."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.pretrain import pretrain as run_pretrain
        from pipelines.problems import CommandError

        if depth not in (10, 18, 34, 50):
            msg = f"--depth must be 10, 18, 34 or 50, got {depth}"
            raise CommandError(msg)
        run = run_pretrain(sources, output, depth=depth, steps=steps, batch_size=batch_size, seed=seed)
    if as_json:
        typer.echo(run.model_dump_json(indent=2))
    else:
        from pipelines import console

        console.print_refused(run)
        if run.damage is not None:
            typer.echo(
                f"error under the damage of {run.held_out} volumes that were not trained on: {run.damage:.3f}, "
                f"{run.restored:.3f} once restored"
            )
        typer.echo(f"encoder: {run.output}")
    raise typer.Exit(int(run.exit_code))


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
    seed: Annotated[int, typer.Option(min=0, help="Another seed plants other lesions.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a labelled test cohort from healthy scans: each as it is, and again with lesions planted into it."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.plant import plant as run_plant

        run = run_plant(
            source,
            output,
            families=_names(families) or [],
            section=section,
            copies=copies,
            radius=radius,
            seed=seed,
        )
    if as_json:
        typer.echo(run.model_dump_json(indent=2))
    else:
        from pipelines import console

        console.print_refused(run)
        for name in run.bare:
            typer.echo(f"left out: {name}: no lesion could be seen", err=True)
        typer.echo(f"{run.healthy} healthy scans, {run.planted} with lesions, in {run.seconds:.0f} s\n{run.datalist}")
    raise typer.Exit(int(run.exit_code))


def _names(text: str | None) -> list[str] | None:
    """Words between commas; None where nothing was said."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
