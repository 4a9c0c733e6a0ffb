"""`python -m pipelines.figures.reading`: a 200-slice DICOM series to a volume, next to SimpleITK's series reader."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, output
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.provenance import commit, machine

SHAPE = (512, 512, 200)


def make_series(folder: Path) -> None:
    """One series of 200 slices of 512 x 512 pixels, uncompressed."""
    from data_prep.demo.dicom import write_series
    from data_prep.demo.render import Scan

    array = np.random.default_rng(0).integers(0, 4000, SHAPE).astype(np.uint16)
    scan = Scan(array=array, mask=np.zeros(SHAPE, bool), affine=np.diag([0.5, 0.5, 1.0, 1.0]))
    write_series(scan, folder, patient="P1", seed=0)


def measure_reading(folder: Path, *, repeats: int) -> dict[str, list[float]]:
    """Seconds of `read_volume` and of SimpleITK from a folder to an array, in turn, after one round of warming up."""
    steps: dict[str, Callable[[], np.ndarray]] = {
        "ours": lambda: _ours(folder),
        "simpleitk": lambda: _simpleitk(folder),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats + 1):
        arrays = []
        for name, step in steps.items():
            started = time.perf_counter()
            arrays.append(step())
            seconds[name].append(time.perf_counter() - started)
        if not np.array_equal(arrays[0], arrays[1]):
            msg = "the two readers do not agree"
            raise RuntimeError(msg)
    return {name: values[1:] for name, values in seconds.items()}


def bench(
    repeats: Annotated[int, typer.Option("-n", "--repeats", min=1, help="Runs to take the median of.")] = 5,
    output: Annotated[Path, output("FILE", "JSON file to write.")] = Path("bench/reading.json"),
    debug: Debug = False,
) -> None:
    """Read a 200-slice series with every check and hash, against SimpleITK's reader, in one run."""
    with guarded(debug=debug), tempfile.TemporaryDirectory() as name:
        make_series(Path(name))
        seconds = measure_reading(Path(name), repeats=repeats)
        result = summary(seconds)
        result["machine"] = machine(1, "cpu")
        writable_folder(output.parent)
        write_whole(output, json.dumps(result, indent=2) + "\n")
    typer.echo(", ".join(f"{name} {value:.2f} s" for name, value in result["median_s"].items()))
    typer.echo(f"ours / SimpleITK: {result['ours_over_simpleitk']:.2f}; written to {output}")


def summary(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Medians and their ratio, with command, commit and date."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "command": " ".join(["python", "-m", "pipelines.figures.reading", *sys.argv[1:]]),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "shape": list(SHAPE),
        "median_s": {name: round(value, 3) for name, value in medians.items()},
        "range_s": {name: [round(min(values), 3), round(max(values), 3)] for name, values in seconds.items()},
        "ours_over_simpleitk": round(medians["ours"] / medians["simpleitk"], 3),
    }


def _ours(folder: Path) -> np.ndarray:
    from data_prep import read_volume

    return read_volume(folder).array


def _simpleitk(folder: Path) -> np.ndarray:
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    array: np.ndarray = SimpleITK.GetArrayFromImage(reader.Execute()).T
    return array


if __name__ == "__main__":
    typer.run(bench)
