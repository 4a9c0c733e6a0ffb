"""A soak: many small studies, a coordinator that is started again and again, and kills from without and within."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

from data_prep.demo.dicom import write_series
from data_prep.demo.render import Scan
from pipelines.problems import ExitCode
from tests.soak.bundle import make_bundle
from tests.soak.killing import CHANCE, PLACE

if TYPE_CHECKING:
    from tests.soak.sending import Sending

Array = np.ndarray
AFFINE = np.array([[-4.0, 0, 0, 40], [0, 4.0, 0, -50], [0, 0, 6.0, -30], [0, 0, 0, 1]])
SITE = (
    "limits: {attempts: 100, free_gb: 0, lease_seconds: 5, case_seconds: 30}\n"
    "outputs: {picture: false, viewer: false}\n"
)
_ROOT = Path(__file__).resolve().parents[2]
EVERY = 10  # one study in ten is a DICOM series
_HEALTHY = 5  # one DICOM series in five has an empty mask
_VANISHING = 0.05  # of the looks at a run, after so many the source vanishes
_AWAY = 60.0  # seconds that it stays away at most
_BETWEEN = (0, 6)  # cases between two kills of a worker from without


def make_studies(folder: Path, number: int, *, every: int = EVERY) -> None:
    """Small studies: an ellipsoid with a bright block, each different.

    Args:
        folder: for them.
        number: how many.
        every: one in so many is a DICOM series, of which every fifth has no block; the others are NIfTI.
    """
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, size) for size in (20, 24, 8)], indexing="ij"))
    body = np.where((grid**2).sum(axis=0) < 0.9, 60, 0)
    for index in range(number):
        array = body.copy()
        if index % (every * _HEALTHY) != every:
            array[6:12, 8:14, 3:6] = 160
        array[0, 0, 0] = 1 + index % 50
        array[0, 1, 0] = 1 + index // 50
        if index % every == 0:
            scan = Scan(array=array.astype(np.uint16), mask=array, affine=AFFINE)
            write_series(scan, folder / f"s{index}", patient=f"SOAK^{index}", seed=index)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array.astype(np.int16), AFFINE), folder / f"n{index}.nii")


def lay_out(folder: Path, number: int, *, every: int = EVERY, stow: str = "") -> None:
    """`source` with studies, `bundle` and `site.yaml`, in a folder.

    Args:
        folder: for them.
        number: of studies.
        every: of `make_studies`.
        stow: address of a DICOMweb service that results are sent to.
    """
    make_studies(folder / "source", number, every=every)
    make_bundle(folder / "bundle")
    (folder / "site.yaml").write_text(SITE + (f"send: {{stow: '{stow}'}}\n" if stow else ""))


class Coordinator:
    """A run of `reprocess` in a process of its own.

    Args:
        folder: with `source`, `archive`, `bundle`, `kills` and `site.yaml`.
        target: name of the workers' body in `tests.soak.killing`.
        chance: that a worker kills itself at the end of a stage.
        workers: how many.
    """

    def __init__(self, folder: Path, *, target: str, chance: float = 0.0, workers: int = 2) -> None:
        (folder / "kills").mkdir(exist_ok=True)
        environment = {**os.environ, PLACE: str(folder / "kills"), CHANCE: str(chance), "PYTHONPATH": str(_ROOT)}
        command = [sys.executable, "-m", "tests.soak.coordinator", str(folder), target, str(workers)]
        with (folder / "coordinator.log").open("a") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=_ROOT)

    def processes(self) -> list[int]:
        """Workers: children of the server that the coordinator has started."""
        return [pid for child in children(self.process.pid) for pid in children(child)]

    def kill(self) -> bool:
        """Kill -9 of the coordinator alone; its workers see for themselves. False where it had ended before."""
        self.process.kill()
        return self.process.wait() == -signal.SIGKILL


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def soak(folder: Path, *, kills: int, chance: float, seed: int, sending: Sending | None = None) -> dict[str, int]:
    """Run until all is done, and kill on the way.

    A kill from without waits for some cases to be done since the last one: a slow machine would get nothing done
    otherwise, and a quick one would be through before the last kill.

    Args:
        folder: as for `Coordinator`.
        kills: after so many in all nothing is killed any more, but for those of `sending`.
        chance: that a worker kills itself at the end of a stage.
        seed: of the times.
        sending: kills of the coordinator while it sends, which it does once all jobs are done.

    Returns:
        How often what was killed.
    """
    rng = random.Random(seed)
    told = {"workers": 0, "coordinator": 0, "source": 0}
    studies = len(os.listdir(folder / "source"))

    def total() -> int:
        return told["workers"] + told["coordinator"] + len(list((folder / "kills").glob("stage *")))

    while True:
        over = total() >= kills
        target = "die_now_and_then" if over else "fail_in_every_way"
        run = Coordinator(folder, target=target, chance=0.0 if over else chance)
        due = cases(folder)
        ends = due + rng.randint(studies // 40, studies // 8)
        while not over and not (sending and sending.begun) and run.process.poll() is None:
            time.sleep(rng.uniform(0.1, 1.5))
            if total() >= kills or cases(folder) > ends:
                told["coordinator"] += run.kill()
            elif rng.random() < _VANISHING:
                told["source"] += vanish(folder / "source", run)
            elif cases(folder) >= due and (victims := run.processes()):
                told["workers"] += _killed(rng.choice(victims))
                due = cases(folder) + rng.randint(*_BETWEEN)
        if sending is not None and (over or sending.begun):
            sending.watch(run)
        code = run.process.wait()
        # a run gives up where its workers die as they start, or its source is gone; what it could not read is left
        if code > 0 and (over or code not in (ExitCode.USAGE, ExitCode.SOME_FAILED)):
            raise RuntimeError((folder / "coordinator.log").read_text()[-2000:])
        if code == 0:
            marks = sorted(path.name for path in (folder / "kills").iterdir())
            told["stages"] = sum(mark.startswith("stage ") for mark in marks)
            told["hanging"] = sum(" hang " in mark for mark in marks)
            told["io"] = sum(mark.startswith("io ") for mark in marks)
            return told if sending is None else {**told, "sending": sending.done}


def vanish(source: Path, run: Coordinator) -> bool:
    """Take the source away as an unmounted share is, until the run has ended; was it that which ended it?"""
    away = source.with_name("away")
    source.rename(away)
    try:
        return run.process.wait(_AWAY) == ExitCode.USAGE
    except subprocess.TimeoutExpired:
        return False  # it had nothing more to read
    finally:
        away.rename(source)


def cases(folder: Path) -> int:
    """How many cases have their outputs in place."""
    place = folder / "archive" / "cases"
    return len(os.listdir(place)) if place.is_dir() else 0


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
