"""`python -m pipelines.figures.reprocess`: `reprocess` against the same parts one after the other, and its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipelines.bundles import find_bundle
from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, output
from pipelines.figures.process_tree import TreeMemory
from pipelines.figures.rerun import COMMAND
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.provenance import provenance
from pipelines.problems import CommandError
from pipelines.reprocess.crew.overlap import IN_WORK

_BARE = (
    "import sys; from pathlib import Path; from pipelines.figures.reprocess import bare; bare(*map(Path, sys.argv[1:]))"
)
_PARTS = 4  # of the jobs, after each of which memory is looked at


def choose(images: Sequence[Path], number: int) -> list[Path]:
    """So many of the scans, evenly from the smallest to the largest, with both, in the order that they have.

    Args:
        images: NIfTI files.
        number: of scans, at most; with one it is the largest.
    """
    import nibabel as nib

    if number >= len(images):
        return list(images)
    by_size = sorted(images, key=lambda path: int(np.prod(nib.load(path).shape)))
    places = np.linspace(len(images) - 1, 0, number).round().astype(int)
    chosen = {by_size[place] for place in places}
    return [path for path in images if path in chosen]


def most_different(volumes: int) -> int:
    """So many scans that each was examined beside each of its neighbours by the first quarter of the jobs.

    As many cases are in work at once as `IN_WORK` says, and the first scans come again after the last.

    >>> most_different(200)
    48
    """
    return max(1, volumes // _PARTS - IN_WORK + 1)


def make_archive(images: Sequence[Path], folder: Path, number: int) -> None:
    """DICOM series from volumes, which are taken again and again, each time under other noise.

    Args:
        images: NIfTI files.
        folder: for one folder a series.
        number: of series.
    """
    from data_prep import read_volume
    from data_prep.demo.dicom import write_series
    from data_prep.demo.render import MAXIMUM, Scan

    for index in range(number):
        volume = read_volume(images[index % len(images)])
        array = volume.array * (0.8 * MAXIMUM / max(float(volume.array.max()), 1.0))
        array = array + np.random.default_rng(index).normal(0, 4, array.shape) * (array > 0)
        array = array.clip(0, MAXIMUM).round().astype(np.uint16)
        scan = Scan(array=array, mask=np.zeros(array.shape, np.uint8), affine=np.asarray(volume.affine, np.float64))
        write_series(scan, folder / f"series{index:04d}", patient=f"BENCH^{index}", seed=index)


def bare(source: Path, target: Path, bundle: Path) -> None:
    """Read, examine and write every volume of a folder, one after the other: no ledger, no lease, no sync.

    Args:
        source: DICOM series.
        target: made; one folder a case.
        bundle: its folder.
    """
    from pipelines.bundles import load, modalities
    from pipelines.detect.cases import gather_cases
    from pipelines.reprocess.archive.outputs import write_outputs
    from pipelines.reprocess.ledger.ledger import Job
    from pipelines.reprocess.plan import Task
    from pipelines.reprocess.site import Site

    detector, site = load(bundle, device=None), Site()
    job = {"input": "", "kind": "dicom", "bundle": "", "version": "", "weights": "", "configuration": ""}
    for case in gather_cases([source], modalities=modalities(bundle))[0]:
        volume = case.volume()
        exam = detector.examine(volume, case=case.name)
        folder = target / case.name
        folder.mkdir(parents=True)
        write_outputs(
            Task(job=Job(key=case.name, name=case.name, **job), case=case), volume, exam, folder, site.outputs
        )


def time_bare(source: Path, target: Path, bundle: Path) -> float:
    """Seconds of `bare` in a process of its own, from outside."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", _BARE, source, target, bundle], check=True)
    return time.perf_counter() - started


def time_reprocess(source: Path, archive: Path, bundle: Path) -> tuple[float, TreeMemory]:
    """Seconds of the command with one worker, from outside, and the memory of its processes job by job.

    Raises:
        CommandError: it did not do all jobs.
    """
    command = [*COMMAND, "reprocess", source, "-o", archive, "--bundle", bundle, "--workers", "1"]
    started = time.perf_counter()
    run = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    memory = TreeMemory(run.pid, lambda: _published(archive))
    code = run.wait()
    seconds = time.perf_counter() - started
    memory.end()
    if code:
        msg = f"reprocess ended with {code}"
        raise CommandError(msg)
    return seconds, memory


def bench_reprocess(
    data: Annotated[Path, typer.Argument(help="Folder with NIfTI volumes.")] = Path("../shared/data/lgg-flair/images"),
    volumes: Annotated[int, typer.Option(min=4, help="DICOM series to make of them.")] = 200,
    different: Annotated[
        int | None, typer.Option(min=1, help="Scans to make them of; default: all that fit in the first quarter.")
    ] = None,
    memory_alone: Annotated[
        bool, typer.Option("--memory-alone", help="Leave the plain run out, which memory is not asked of.")
    ] = False,
    bundle: Annotated[Path | None, typer.Option(help="The bundle to run.")] = None,
    beside: Annotated[str, typer.Option(help="What else ran on the machine, for the record.")] = "nothing",
    output: Annotated[Path, output("FILE", "JSON file to write.")] = Path("bench/reprocess.json"),
    debug: Debug = False,
) -> None:
    """Time `reprocess` with one worker against its parts one after the other, and watch its memory.

    Both are processes of their own that load the model and look through the same series; both write the same files
    with as many threads. Every scan is among the first quarter of the jobs: memory that grows later grows with the
    number of jobs and not with their size.
    """
    with guarded(debug=debug), tempfile.TemporaryDirectory(prefix="healthytwin-reprocess-") as scratch:
        images = sorted(data.glob("*.nii.gz"))
        if not images:
            msg = f"{data}: no NIfTI volumes (*.nii.gz)"
            raise CommandError(msg)
        if different is not None and different > most_different(volumes):
            msg = f"--different {different}: at most {most_different(volumes)} fit in the first quarter of {volumes}"
            raise CommandError(msg)
        images = choose(images, different or most_different(volumes))
        folder, root = Path(scratch), find_bundle(bundle)
        make_archive(images, folder / "source", volumes)
        loads = [os.getloadavg()[0]]
        plain = None
        if not memory_alone:
            plain = time_bare(folder / "source", folder / "bare", root)
            loads.append(os.getloadavg()[0])
        seconds, memory = time_reprocess(folder / "source", folder / "archive", root)
        loads.append(os.getloadavg()[0])
        result = {
            "provenance": provenance(),
            "beside": beside,
            "load_average": [round(load, 1) for load in loads],
            "volumes": volumes,
            "different_scans": len(images),
            **summary(volumes, plain, seconds, memory),
        }
        writable_folder(output.parent)
        write_whole(output, json.dumps(result, indent=2) + "\n")
    typer.echo(f"{volumes} volumes: {seconds:.0f} s")
    if plain is not None:
        typer.echo(f"one after the other {plain:.0f} s: {result['rate_over_bare']:.2f}")
    typer.echo(f"memory of all processes, MiB: {result['peak_pss_mib']}; written to {output}")


def summary(volumes: int, plain: float | None, seconds: float, memory: TreeMemory) -> dict[str, Any]:
    """The peak of memory until each quarter of the jobs and within each; with a plain run, rates and their ratio."""
    quarters = [part * volumes // _PARTS for part in range(_PARTS + 1)]
    within = {str(ends): round(memory.peak(ends, after=begins - 1)) for begins, ends in pairwise(quarters)}
    figures: dict[str, Any] = {
        "seconds": {"reprocess": round(seconds, 1)},
        "volumes_per_minute": {"reprocess": round(60 * volumes / seconds, 2)},
        "peak_pss_mib": {str(jobs): round(memory.peak(jobs)) for jobs in quarters[1:]},
        "peak_pss_mib_of_quarter": within,
    }
    if plain is not None:
        figures["seconds"]["bare"] = round(plain, 1)
        figures["volumes_per_minute"]["bare"] = round(60 * volumes / plain, 2)
        figures["rate_over_bare"] = round(plain / seconds, 3)
    return figures


def _published(archive: Path) -> int:
    try:
        return len(os.listdir(archive / "cases"))
    except OSError:
        return 0


if __name__ == "__main__":
    typer.run(bench_reprocess)
