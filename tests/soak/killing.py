"""Bodies of worker processes that kill themselves at the ends of stages, as a power cut would."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from pipelines.reprocess.crew.process import quietly, work
from pipelines.reprocess.crew.settings import Settings

PLACE, CHANCE = "HEALTHYTWIN_SOAK_KILLS", "HEALTHYTWIN_SOAK_CHANCE"  # environment of the coordinator
MET = 4  # workers that must have met


def die_once_at_every_stage(connection: Any, settings: Settings) -> None:
    """Kill -9 at the first end of every stage, of all workers together."""

    def on_stage(stage: str) -> None:
        try:
            (Path(os.environ[PLACE]) / f"stage {stage}").touch(exist_ok=False)
        except FileExistsError:
            return
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
