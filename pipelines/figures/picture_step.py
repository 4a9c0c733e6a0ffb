"""`python -m pipelines.figures.picture_step`: a training step in two dimensions next to one in three."""

from __future__ import annotations

import json
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, output
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.provenance import commit, machine

SIDE, BATCH = 128, 3


def step_of(spatial_dims: int, *, slices: int) -> Any:
    """A function that takes one step of HealthyTwin's training on a batch `(3, 1, 128, 128, slices)`."""
    import torch

    from anomaly.methods.healthy_twin import HealthyTwin, HealthyTwinLoss

    torch.manual_seed(0)
    network = HealthyTwin(spatial_dims=spatial_dims, evidence=True).train()
    optimizer, loss = torch.optim.AdamW(network.parameters(), 6e-4), HealthyTwinLoss()
    image = torch.rand(BATCH, 1, SIDE, SIDE, slices)
    mask = (torch.rand_like(image) > 0.9).float()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(network.explain(image), image, mask)["generator"].backward()
        optimizer.step()

    return step


def bench(
    repeats: Annotated[int, typer.Option("-n", "--repeats", min=1, help="Steps to take the median of.")] = 7,
    output: Annotated[Path, output("FILE", "JSON file to write.")] = Path("bench/picture-step.json"),
    debug: Debug = False,
) -> None:
    """Time a slice in two dimensions and the same doubled in three, in turn, by the processor, two for warming up."""
    with guarded(debug=debug):
        steps = {"2-D": step_of(2, slices=1), "3-D": step_of(3, slices=2)}
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(repeats + 2):
            for name, step in steps.items():
                started = time.process_time()
                step()
                seconds[name].append(time.process_time() - started)
        medians = {name: statistics.median(values[2:]) for name, values in seconds.items()}
        result = {
            "command": " ".join(["python", "-m", "pipelines.figures.picture_step", *sys.argv[1:]]),
            "commit": commit(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "batch": [BATCH, 1, SIDE, SIDE],
            "cpu_seconds": {name: round(value, 3) for name, value in medians.items()},
            "ratio": round(medians["2-D"] / medians["3-D"], 3),
            "machine": machine(1, "cpu"),
        }
        writable_folder(output.parent)
        write_whole(output, json.dumps(result, indent=2) + "\n")
    typer.echo(f"a step in 2-D over one in 3-D: {result['ratio']}; written to {output}")


if __name__ == "__main__":
    typer.run(bench)
