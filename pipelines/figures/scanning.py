"""`python -m pipelines.figures.scanning`: how fast headers are scanned and in how much memory, next to pydicom."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, output
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.provenance import commit, machine

SLICES = 100  # of each series
_PEAK = r"""
import re, sys
from data_prep import discover
found = sum(1 for _ in discover(sys.argv[1]))
print(found, re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
"""


def make_tree(folder: Path, files: int) -> None:
    """A tree of MR series of 100 slices each, one file a slice, as the demo cohort writes them."""
    from data_prep.demo.dicom import write_series
    from data_prep.demo.render import Scan

    array = np.random.default_rng(0).integers(0, 900, (64, 64, SLICES)).astype(np.uint16)
    scan = Scan(array=array, mask=np.zeros(array.shape, bool), affine=np.diag([1.0, 1.0, 3.0, 1.0]))
    for number in range(files // SLICES):
        write_series(scan, folder / f"series{number:04d}", patient=f"P{number}", seed=number)


def multiply(tree: Path, folder: Path, times: int) -> None:
    """The same tree several times, by hard links."""
    for copy in range(times):
        for place, _, names in os.walk(tree):
            here = folder / f"copy{copy}" / Path(place).relative_to(tree)
            here.mkdir(parents=True)
            for name in names:
                os.link(Path(place, name), here / name)


def measure_speed(tree: Path, *, repeats: int) -> dict[str, list[float]]:
    """Seconds of a bare loop over all headers, and of `discover` with one and two processes, in turn."""
    import pydicom

    from data_prep import discover

    def bare() -> None:
        for file in _files(tree):
            pydicom.dcmread(file, stop_before_pixels=True)

    steps: dict[str, Callable[[], object]] = {
        "bare": bare,
        "one_process": lambda: sum(1 for _ in discover(tree)),
        "two_processes": lambda: sum(1 for _ in discover(tree, workers=2)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def measure_memory(tree: Path) -> tuple[int, float]:
    """Number of series, and peak resident memory in MiB, of a fresh process that scans a tree."""
    done = subprocess.run([sys.executable, "-c", _PEAK, str(tree)], capture_output=True, text=True, check=True)
    found, kilobytes = done.stdout.split()
    return int(found), int(kilobytes) / 1024


def bench(
    files: Annotated[int, typer.Option(min=SLICES, help="In the smaller tree; the larger has ten times as many.")] = (
        10_000
    ),
    repeats: Annotated[int, typer.Option("-n", "--repeats", min=1, help="Runs to take the median of.")] = 3,
    output: Annotated[Path, output("FILE", "JSON file to write.")] = Path("bench/scanning.json"),
    debug: Debug = False,
) -> None:
    """Scan single-slice files: seconds against a bare pydicom loop, memory for ten times the files."""
    with guarded(debug=debug), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_tree(folder / "one", files)
        seconds = measure_speed(folder / "one", repeats=repeats)
        few = measure_memory(folder / "one")
        multiply(folder / "one", folder / "ten", 10)
        many = measure_memory(folder / "ten")
        result = summary(files, seconds, few, many)
        result["machine"] = machine(1, "cpu")
        writable_folder(output.parent)
        write_whole(output, json.dumps(result, indent=2) + "\n")
    typer.echo(f"{files} files: " + ", ".join(f"{name} {value:.2f} s" for name, value in result["median_s"].items()))
    typer.echo(f"one process / bare loop: {result['one_process_over_bare']:.2f}")
    typer.echo(f"two processes / bare loop: {result['two_processes_over_bare']:.2f}")
    typer.echo(f"peak memory: {few[1]:.0f} MiB for {files} files, {many[1]:.0f} MiB for {10 * files}")
    typer.echo(f"written to {output}")


def summary(
    files: int, seconds: dict[str, list[float]], few: tuple[int, float], many: tuple[int, float]
) -> dict[str, Any]:
    """Medians, ratios to the bare loop and peak memory, with command, commit and date."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "command": " ".join(["python", "-m", "pipelines.figures.scanning", *sys.argv[1:]]),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": files,
        "series": few[0],
        "median_s": {name: round(value, 3) for name, value in medians.items()},
        "range_s": {name: [round(min(values), 3), round(max(values), 3)] for name, values in seconds.items()},
        "one_process_over_bare": round(medians["one_process"] / medians["bare"], 3),
        "two_processes_over_bare": round(medians["two_processes"] / medians["bare"], 3),
        "peak_mib": {str(files): round(few[1], 1), str(10 * files): round(many[1], 1)},
    }


def _files(tree: Path) -> Iterator[str]:
    for place, _, names in os.walk(tree):
        for name in names:
            yield os.path.join(place, name)


if __name__ == "__main__":
    typer.run(bench)
