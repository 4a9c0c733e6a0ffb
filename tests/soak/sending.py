"""Kills of the coordinator while it sends results to Orthanc."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from pipelines.reprocess.ledger.ledger import Ledger
from pipelines.reprocess.ledger.tables import deliveries
from tests.soak.campaign import Coordinator

_LOOK = 0.01  # seconds between looks at how many objects there are
_LATER = 0.02  # seconds at most between the object that is waited for and the kill


@dataclass(kw_only=True)
class Sending:
    """Kills, each a moment after some objects have newly come.

    Args:
        archive: of results.
        instances: how many objects there are where they are sent to.
        kills: so many in all.
        most: objects that one kill waits for, at most.
        seed: of how many, and of the moment.
        done: kills so far.
        in_doubt: objects that had come when a kill hit and that the ledger did not know of, over all kills: without
            any, the kills would have missed what they are for.
    """

    archive: Path
    instances: Callable[[], int]
    kills: int
    most: int
    seed: int = 0
    done: int = 0
    in_doubt: int = 0

    @property
    def begun(self) -> bool:
        """Has anything been sent?"""
        return self.instances() > 0

    def watch(self, run: Coordinator) -> None:
        """Kill -9 of a run while it sends, unless that was done often enough or the run ends before."""
        rng = random.Random(self.seed + self.done)
        wanted = self.instances() + rng.randint(1, self.most)
        while self.done < self.kills and run.process.poll() is None:
            if self.instances() < wanted:
                time.sleep(_LOOK)
                continue
            time.sleep(rng.uniform(0, _LATER))
            if run.kill():
                self.done += 1
                self.in_doubt += self.instances() - self._known()
            return

    def _known(self) -> int:
        ledger = Ledger.of(self.archive)
        with ledger.read() as connection:
            number = connection.scalar(select(func.count()).select_from(deliveries))
        ledger.close()
        return int(number or 0)
