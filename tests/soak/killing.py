"""Bodies of worker processes that kill themselves at the ends of stages, as a power cut would, or fail otherwise."""

from __future__ import annotations

import errno
import os
import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.reprocess.crew.process import quietly, work
from pipelines.reprocess.crew.settings import Settings
from pipelines.reprocess.crew.worker import Worker
from pipelines.reprocess.plan import Task

if TYPE_CHECKING:
    from data_prep import Volume

PLACE, CHANCE = "HEALTHYTWIN_SOAK_KILLS", "HEALTHYTWIN_SOAK_CHANCE"  # environment of the coordinator
_HANGING = 0.2  # of the ways to end
MET = 4  # workers that must have met


def die_once_at_every_stage(connection: Any, settings: Settings) -> None:
    """Kill -9 at the first end of every stage, of all workers together."""

    def on_stage(stage: str) -> None:
        if _is_first(f"stage {stage}"):
            os.kill(os.getpid(), signal.SIGKILL)

    quietly(settings)
    work(connection, settings, on_stage)


def die_now_and_then(connection: Any, settings: Settings) -> None:
    """Kill -9 at the end of any stage, by chance."""
    chance = random.SystemRandom()

    def on_stage(stage: str) -> None:
        if chance.random() < float(os.environ[CHANCE]):
            (Path(os.environ[PLACE]) / f"stage {stage} {os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    quietly(settings)
    work(connection, settings, on_stage)


def serve_slowly(connection: Any, settings: Settings) -> None:
    """Read a case a second at most, so that there is something left to be read when the source goes."""
    quietly(settings)
    work(connection, settings, lambda stage: time.sleep(1) if stage == "claimed" else None)


def hang_once(connection: Any, settings: Settings) -> None:
    """Hang for ever at the end of the first examination of all workers together; for one whose parent is killed."""

    def on_stage(stage: str) -> None:
        if stage == "examined" and _is_first("stage hang"):
            time.sleep(10**6)

    quietly(settings)
    work(connection, settings, on_stage)


def fail_in_every_way(connection: Any, settings: Settings) -> None:
    """By chance: kill -9, hang for ever, or an I/O error of the source."""
    chance, place = random.SystemRandom(), Path(os.environ[PLACE])
    read = Worker._volume

    def volume(worker: Worker, task: Task) -> Volume:
        if chance.random() < float(os.environ[CHANCE]):
            (place / f"io {os.getpid()} {time.monotonic_ns()}").touch()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(worker, task)

    def on_stage(stage: str) -> None:
        drawn = chance.random() / float(os.environ[CHANCE] or 1)
        if drawn < 1:
            way = "hang" if drawn < _HANGING else "die"
            (place / f"stage {stage} {way} {os.getpid()}").touch()
            if way == "hang":
                time.sleep(10**6)
            os.kill(os.getpid(), signal.SIGKILL)

    Worker._volume = volume  # type: ignore[method-assign]  # in this process alone
    quietly(settings)
    work(connection, settings, on_stage)


def _is_first(name: str) -> bool:
    try:
        (Path(os.environ[PLACE]) / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def meet_first(connection: Any, settings: Settings) -> None:
    """Begin with a case only once four workers have one; then kill -9 at the end of any stage, by chance."""
    place, chance = Path(os.environ[PLACE]), random.SystemRandom()

    def on_stage(stage: str) -> None:
        if stage == "claimed":
            (place / f"met {os.getpid()}").touch()
            while len(list(place.glob("met *"))) < MET:
                time.sleep(0.05)
        elif chance.random() < float(os.environ[CHANCE]):
            os.kill(os.getpid(), signal.SIGKILL)

    quietly(settings)
    work(connection, settings, on_stage)
