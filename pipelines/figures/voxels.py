"""`python -m pipelines.figures.voxels`: the average precision of a billion voxels, in how much memory, how exact."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, output
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.peak_memory import peak_mib
from pipelines.machine.provenance import provenance

if TYPE_CHECKING:
    from anomaly.metrics import ScoreHistogram

PART = 1_000_000  # voxels that are in memory at once
COMPARED = 10_000_000  # voxels that scikit-learn is given, too
_RARE = 0.01  # part of the voxels that is abnormal


def parts(voxels: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Scores in [0, 1] and truth of so many voxels, part by part, each `(PART,)`; the same at every call."""
    for number in range(voxels // PART):
        rng = np.random.default_rng(number)
        truth = rng.random(PART, dtype=np.float32) < _RARE
        scores = 0.3 + 0.25 * truth + 0.1 * rng.standard_normal(PART, dtype=np.float32)
        yield np.clip(scores, 0, 1, dtype=np.float32), truth


def counted(voxels: int) -> ScoreHistogram:
    """The histogram of so many voxels."""
    from anomaly.metrics import ScoreHistogram

    histogram = ScoreHistogram()
    for scores, truth in parts(voxels):
        histogram.add(scores, truth)
    return histogram


def exact(voxels: int) -> float:
    """scikit-learn's average precision of the same voxels, all in memory."""
    from sklearn.metrics import average_precision_score

    scores, truth = (np.concatenate(column) for column in zip(*parts(voxels), strict=True))
    return float(average_precision_score(truth, scores))


def bench_voxels(
    voxels: Annotated[int, typer.Option(min=COMPARED, help="How many, in the largest run.")] = 1_000_000_000,
    output: Annotated[Path, output("FILE", "JSON file to write.")] = Path("bench/voxels.json"),
    debug: Debug = False,
) -> None:
    """Count ever more voxels, tell by how much memory has grown, then compare with scikit-learn."""
    with guarded(debug=debug):
        import anomaly.metrics  # noqa: F401  what it takes is not the metric's

        before, runs = peak_mib(), []
        for size in sorted({COMPARED, max(COMPARED, voxels // 10), voxels}):
            started = time.perf_counter()
            average_precision = counted(size).average_precision()
            seconds = round(time.perf_counter() - started, 1)
            run = {"voxels": size, "average_precision": average_precision, "grown_mib": peak_mib() - before}
            runs.append({**run, "seconds": seconds})
        theirs = exact(COMPARED)
        difference = abs(theirs - runs[0]["average_precision"])
        result = {
            "provenance": provenance(),
            "imports_mib": before,
            "runs": runs,
            "scikit_learn": {"voxels": COMPARED, "average_precision": theirs, "difference": difference},
        }
        writable_folder(output.parent)
        write_whole(output, json.dumps(result, indent=2) + "\n")
    for run in runs:
        typer.echo(f"{run['voxels']:,} voxels: AP {run['average_precision']:.5f}, {run['grown_mib']} MiB more")
    typer.echo(f"scikit-learn on {COMPARED:,} of them: {theirs:.5f}, {difference:.6f} away; written to {output}")


if __name__ == "__main__":
    typer.run(bench_voxels)
