"""`python -m pipelines.figures.rerun`: how long `reprocess` takes over an archive with nothing left to do."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from pipelines.bundles import find_bundle
from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, output
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.provenance import provenance

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomaly import Examination
    from data_prep import Volume
    from pipelines.reprocess.crew.settings import Settings
    from pipelines.reprocess.crew.worker import Worker

SITE = "outputs: {picture: false, viewer: false}\nlimits: {free_gb: 0}\n"
COMMAND = [sys.executable, "-c", "from pipelines.cli.app import main; main()"]
_SHAPE = (16, 16, 6)


def make_inputs(folder: Path, number: int) -> None:
    """Small NIfTI files, no two with the same voxels, at most a thousand in one folder."""
    import nibabel as nib

    array = np.zeros(_SHAPE, dtype=np.int16)
    array[3:13, 3:13, 1:5] = 100
    for index in range(number):
        place = folder / f"{index // 1000}"
        place.mkdir(parents=True, exist_ok=True)
        array[0, 0, :2] = divmod(index, 10_000)
        nib.save(nib.Nifti1Image(array, np.diag([2.0, 2.0, 5.0, 1.0])), place / f"{index}.nii")


class Nothing:
    """In the place of a detector: finds nothing, without a network, and signs as a bundle does.

    Args:
        bundle: its folder.
    """

    def __init__(self, bundle: Path) -> None:
        from anomaly.bundle import bundle_id, load_calibration

        self._calibration = load_calibration(bundle, None)
        self._bundle = bundle_id(bundle, self._calibration)

    def examine(self, volume: Volume, *, case: str = "") -> Examination:
        """A score of 0 everywhere."""
        from anomaly.scoring.assess import Subject, assess

        return assess(
            np.zeros(volume.array.shape, dtype=np.float32),
            volume.affine,
            score=0.0,
            subject=Subject(case=case),
            calibration=self._calibration,
            bundle=self._bundle,
            timings={},
        )


def fill(connection: Any, settings: Settings) -> None:
    """Body of a worker process with `Nothing` for a detector."""
    from pipelines.reprocess.crew.process import quietly, work

    quietly(settings)
    work(connection, settings, lambda _stage: None, _without_network)


def _without_network(settings: Settings, on_stage: Callable[[str], None]) -> Worker:
    from pipelines.reprocess.archive.store import Store
    from pipelines.reprocess.crew.worker import Worker
    from pipelines.reprocess.ledger.ledger import Ledger

    ledger, detector = Ledger.of(settings.archive), Nothing(settings.bundle)
    store = Store(settings.archive)
    return Worker(ledger=ledger, store=store, site=settings.site, detector=detector, on_stage=on_stage)


def measure_rerun(source: Path, archive: Path, *, bundle: Path, site: Path) -> dict[str, Any]:
    """The command on an archive that is done, in a process of its own: its seconds from outside, and what it said.

    Raises:
        RuntimeError: it examined something, or did not find all done.
    """
    command = [*COMMAND, "reprocess", source, "-o", archive, "--bundle", bundle, "--site", site, "--json"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    run = json.loads(done.stdout) if done.returncode == 0 else {}
    if done.returncode or run["examined"] or run["jobs"]["done"] != sum(run["jobs"].values()):
        msg = f"the second run was not free: exit code {done.returncode}: {(done.stdout + done.stderr)[-500:]}"
        raise RuntimeError(msg)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor, 2),
        "jobs": run["jobs"]["done"],
        "examined": run["examined"],
    }


def bench_rerun(
    jobs: Annotated[int, typer.Option(min=1, help="Inputs, each a job.")] = 5000,
    repeats: Annotated[int, typer.Option("-n", "--repeats", min=1, help="Second runs.")] = 3,
    bundle: Annotated[Path | None, typer.Option(help="The bundle of the archive.")] = None,
    output: Annotated[Path, output("FILE", "JSON file to write.")] = Path("bench/rerun.json"),
    debug: Debug = False,
) -> None:
    """Fill an archive, and time `healthytwin reprocess` on it once more.

    The inputs are files of their own. The first run is `reprocess` with its ledger, leases, manifests and syncs, but
    without a network, since thousands of examinations take hours; the second is the command as anybody starts it.
    """
    from pipelines.reprocess.run import reprocess

    with guarded(debug=debug), tempfile.TemporaryDirectory(prefix="healthytwin-rerun-") as scratch:
        root, folder = find_bundle(bundle), Path(scratch)
        site = folder / "site.yaml"
        site.write_text(SITE, encoding="utf-8")
        make_inputs(folder / "source", jobs)
        first = reprocess(folder / "source", folder / "archive", bundle=root, site=site, target=fill)
        runs = [measure_rerun(folder / "source", folder / "archive", bundle=root, site=site) for _ in range(repeats)]
        result = {
            "provenance": provenance(),
            "load_average": [round(load, 1) for load in os.getloadavg()],
            "jobs": first.jobs,
            "first_run_without_network_seconds": first.seconds,
            "runs": runs,
            "slowest_seconds": max(run["seconds"] for run in runs),
        }
        writable_folder(output.parent)
        write_whole(output, json.dumps(result, indent=2) + "\n")
    typer.echo(f"{jobs} jobs again: {result['slowest_seconds']} s at most; written to {output}")


if __name__ == "__main__":
    typer.run(bench_rerun)
