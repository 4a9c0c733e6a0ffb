"""`healthytwin train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, Json, Precision, names, output
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.train.run import TrainRecord


Sequence = Annotated[
    str | None, typer.Option(metavar="T1,FLAIR", help="Sequences of the visits in a folder of scans, two or more.")
]
VoxelSize = Annotated[
    str | None, typer.Option(metavar="MM[,MM,MM]", help="Voxel size to work at, slices last. [default: from the scans]")
]
Windows = Annotated[
    list[str] | None,
    typer.Option(metavar="LOW,HIGH", help="CT: HU that are seen, or brain, lung, ... [default: from the tissue]"),
]
Radius = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="MM MM", help="Smallest and largest half width of planted anomalies."),
]
MinLesion = Annotated[
    float | None, typer.Option(min=0.0, metavar="ML", help="Smallest region that is reported. [default: 0.1]")
]
Darker = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=1.0, metavar="SHARE", help="Part of planted anomalies that is dark. [default: 0.25; CT: 0.5]"
    ),
]


def train(
    datalist: Annotated[
        Path, typer.Argument(metavar="DATALIST", help="dataset.json or its folder, or a folder of healthy scans.")
    ],
    output: Annotated[Path, output("BUNDLE", "Folder of the bundle to make.")],
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
        typer.Option(metavar="NAME,...", help="Anomalies to plant; repeat a name to plant it more often."),
    ] = None,
    held_out_families: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Anomalies to plant in validation, to choose the checkpoint.")
    ] = None,
    sequence: Sequence = None,
    voxel_size: VoxelSize = None,
    window: Windows = None,
    radius: Radius = None,
    min_lesion: MinLesion = None,
    darker: Darker = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs; each ends with a validation and a checkpoint.")] = 10,
    steps: Annotated[int, typer.Option(min=1, help="Steps of an epoch.")] = 140,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows in one step.")] = 3,
    patience: Annotated[int, typer.Option(min=1, help="End after so many validations without a better one.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Two trainings with one seed give the same weights.")] = 0,
    precision: Precision = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train and calibrate a bundle on healthy scans alone; no label, no config to edit."""

    def when_stopped() -> str:
        from pipelines.train.run import can_resume

        if can_resume(output):
            return "Run the same command with --resume to continue after the last complete epoch."
        return "No epoch was complete yet; the same command starts again."

    with guarded(as_json=as_json, debug=debug, when_stopped=when_stopped):
        from pipelines.bundles import check_precision, start_bundle
        from pipelines.cohort.windows import window_of
        from pipelines.problems import CommandError
        from pipelines.train.choices import Choices, sizes_of
        from pipelines.train.run import train as run_train

        if from_scratch and (start_from or encoder_weights):
            msg = "--from-scratch goes with neither --start-from nor --encoder-weights"
            raise CommandError(msg)
        choices = Choices(
            voxel_size=sizes_of(voxel_size),
            windows=tuple(window_of(text) for text in window or ()),
            radius=radius,
            min_lesion=min_lesion,
            darker=darker,
        )
        settings = {
            "epochs": epochs,
            "steps": steps,
            "batch_size": batch_size,
            "patience": patience,
            "seed": seed,
            "precision": check_precision(precision),
            "families": names(families),
            "held_out_families": names(held_out_families),
        }
        run = run_train(
            datalist,
            output,
            like=like,
            start_from=start_from or (None if from_scratch or encoder_weights else start_bundle()),
            encoder_weights=encoder_weights,
            settings={key: value for key, value in settings.items() if value is not None},
            choices=choices,
            sequences=names(sequence) or (),
            resume=resume,
        )
    tell(run, as_json, _show)


def _show(run: TrainRecord) -> None:
    from pipelines.cli import tables

    tables.print_refused(run)
    for note in (*run.notes, run.promise):
        typer.echo(f"note: {note}")
    best = "not measured" if run.voxel_ap is None else f"{run.voxel_ap:.3f}"
    typer.echo(
        f"\n{run.training} scans trained on, {run.validation} kept back; voxel AP on planted anomalies {best}; "
        f"{run.seconds / 60:.1f} min"
    )
    typer.echo(f"pictures of the training: {run.pictures}\nbundle: {run.bundle}")
