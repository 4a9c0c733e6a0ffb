"""`python -m pipelines.figures.large_volume`: how much memory the examination of a very large volume takes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipelines.bundles import find_bundle, load
from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, output
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.peak_memory import peak_mib
from pipelines.machine.provenance import provenance

SHAPE, SPACING = (512, 512, 600), (0.45, 0.45, 1.0)


def large_volume(shape: tuple[int, int, int] = SHAPE, spacing: tuple[float, float, float] = SPACING) -> Any:
    """A head-like ellipsoid as int16, made slice by slice."""
    from data_prep import Volume

    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij", sparse=True)
    array = np.zeros(shape, dtype=np.int16)
    for k, z in enumerate(np.linspace(-1, 1, shape[2])):
        inside = (x / 0.75) ** 2 + (y / 0.9) ** 2 + z**2 < 1
        array[..., k] = inside * (300 + rng.normal(0, 8, shape[:2]))
    return Volume(array=array, affine=np.diag([*spacing, 1.0]), source="large")


def bench_memory(
    bundle: Annotated[Path | None, typer.Option(help="The bundle to run.")] = None,
    output: Annotated[Path, output("FILE", "JSON file to write.")] = Path("bench/memory.json"),
    debug: Debug = False,
) -> None:
    """Examine one volume of 512 x 512 x 600 voxels on the CPU, and tell the peak of the process's memory."""
    with guarded(debug=debug):
        detector = load(find_bundle(bundle), device="cpu")
        volume = large_volume()
        before, started = peak_mib(), time.perf_counter()
        exam = detector.examine(volume, case="large")
        result = {
            "provenance": provenance(),
            "shape": list(SHAPE),
            "spacing_mm": list(SPACING),
            "volume_mib": volume.array.nbytes // 2**20,
            "peak_before_mib": before,
            "peak_mib": peak_mib(),
            "seconds": round(time.perf_counter() - started, 1),
            "timings": exam.finding.timings,
        }
        writable_folder(output.parent)
        write_whole(output, json.dumps(result, indent=2) + "\n")
    typer.echo(f"peak {result['peak_mib']} MiB, {before} MiB of them before the examination; {result['seconds']} s")


if __name__ == "__main__":
    typer.run(bench_memory)
