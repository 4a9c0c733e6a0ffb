"""A case that a worker has a lease on, from the claim to the commit, and what became of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.reprocess.ledger.ledger import Lease, Ledger, State
from pipelines.reprocess.plan import Task

if TYPE_CHECKING:
    from anomaly import Examination
    from data_prep import Volume
    from pipelines.reprocess.archive.outputs import Published

_BEATS = 4  # in the time of a lease


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a task.

    Args:
        key: of its job.
        state: that the job is in now; None: another worker has it, or had it.
        halt: why the whole run must end; "" where it need not.
        is_unread: its source could not be read for now; the next run tries again.
    """

    key: str
    state: State | None = None
    halt: str = ""
    is_unread: bool = False


class Life:
    """Gives signs of life of a lease until its end.

    Args:
        ledger: that takes them.
        lease: whose.
        patience: seconds without a sign after which the lease may be taken over.
        is_moving: does the worker come on? One that hangs must not hold its cases for ever.
    """

    def __init__(
        self, ledger: Ledger, lease: Lease, *, patience: float, is_moving: Callable[[], bool] = lambda: True
    ) -> None:
        self._ledger, self._lease, self._pause, self._is_moving = ledger, lease, patience / _BEATS, is_moving
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Give no more."""
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(self._pause) and self._is_moving():
            try:
                if not self._ledger.beat(self._lease):
                    return
            except Exception:  # the commit will say what is wrong with the ledger
                continue


@dataclass(kw_only=True)
class LeasedCase:
    """A case under a lease.

    Args:
        task: with the case.
        lease: on its job.
        life: of the lease.
        volume: once it is read, until the end.
        exam: once it is examined, until the end.
        before: its outputs, where it has them and some of them are to be made again.
        seconds: that the stages took, without the time between them.
        outcome: at the end.
    """

    task: Task
    lease: Lease
    life: Life
    volume: Volume | None = None
    exam: Examination | None = None
    before: Published | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    outcome: Outcome | None = None

    def close(self) -> None:
        """No more signs of life, and nothing in memory."""
        self.life.end()
        self.volume = self.exam = None
