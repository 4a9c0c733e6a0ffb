"""`python -m pipelines.figures.learning_curve LOGS... -o CURVE.json`: did more steps help? From the logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, output
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.provenance import provenance
from pipelines.problems import CommandError

_STEPS = "generator_loss"  # written once a step; the metrics are written once a validation


def read_stage(logs: Path, *, begun: int = 0) -> tuple[list[dict[str, float]], int]:
    """The validations of one training.

    Args:
        logs: the folder `logs` that TensorBoard handlers filled.
        begun: steps of the trainings before it, whose weights it went on from.

    Returns:
        A row of `step`, `voxel_ap` and `best_dice` for every validation, and the steps at the end.

    Raises:
        CommandError: no training has been logged there, or TensorBoard is missing.
    """
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ModuleNotFoundError as error:
        msg = "the logs of trainings are read by TensorBoard: pip install tensorboard"
        raise CommandError(msg) from error

    events = EventAccumulator(str(logs), size_guidance={"scalars": 0})
    events.Reload()
    if not {_STEPS, "voxel_ap", "best_dice"} <= set(events.Tags()["scalars"]):
        msg = f"{logs}: no log of a training with validations; TensorBoard must have been installed when it ran"
        raise CommandError(msg)
    steps = [event.wall_time for event in events.Scalars(_STEPS)]
    dice = {event.step: event.value for event in events.Scalars("best_dice")}
    rows = [
        {
            "step": begun + sum(time <= event.wall_time for time in steps),
            "voxel_ap": round(event.value, 4),
            "best_dice": round(dice[event.step], 4),
        }
        for event in events.Scalars("voxel_ap")
    ]
    return rows, begun + len(steps)


def draw(stages: list[list[dict[str, float]]], path: Path) -> Path:
    """Draw the stages' voxel AP over the steps, one line a stage, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    for number, rows in enumerate(stages, start=1):
        axes.plot([row["step"] for row in rows], [row["voxel_ap"] for row in rows], marker=".", label=f"stage {number}")
    axes.set_xlabel("steps")
    axes.set_ylabel("voxel AP, planted anomalies")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=100)
    return path


def learning_curve(
    logs: Annotated[list[Path], typer.Argument(help="Folders of logs, in the order in which weights were handed on.")],
    output: Annotated[Path, output("FILE", "JSON file to write; a PNG goes beside it.")],
    debug: Debug = False,
) -> None:
    """Write how the validation metrics rose with the steps."""
    with guarded(debug=debug):
        stages: list[list[dict[str, float]]] = []
        steps = 0
        for folder in logs:
            rows, steps = read_stage(folder, begun=steps)
            stages.append(rows)
        writable_folder(output.parent)
        result: dict[str, Any] = {"provenance": provenance(), "steps": steps, "stages": stages}
        write_whole(output, json.dumps(result, indent=2) + "\n")
        picture = draw(stages, output.with_suffix(".png"))
    typer.echo(f"{steps} steps in {len(stages)} stages: {output}, {picture}")


if __name__ == "__main__":
    typer.run(learning_curve)
