"""`Overlap`: while a worker examines one case, it reads the next one and writes the last one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, Queue
from typing import TYPE_CHECKING

from pipelines.reprocess.crew.leased_case import LeasedCase, Outcome
from pipelines.reprocess.ledger.ledger import State
from pipelines.reprocess.plan import Task

if TYPE_CHECKING:
    from pipelines.reprocess.crew.worker import Worker

IN_WORK = 3  # cases: one is read or waits as read, one is examined, one is written


class Overlap:
    """Does one task after the other, each stage in a thread of its own; the network stays in the caller's.

    Memory is bounded by `IN_WORK` cases: the next volume is not read before the last one read is being examined, and
    no result is begun to be written before the last one is done.

    Args:
        worker: whose stages these are.
        tell: called with what became of each task, in any of the threads; one call at a time.
    """

    def __init__(self, worker: Worker, tell: Callable[[Outcome], None]) -> None:
        self._worker, self._tell = worker, tell
        self._tasks: Queue[Task | None] = Queue()
        self._stopped = threading.Event()
        self._telling = threading.Lock()

    def give(self, task: Task) -> None:
        """One more task; those that were given before it come first."""
        self._tasks.put(task)
        if self._stopped.is_set():
            self._refuse()

    def stop(self) -> None:
        """Begin nothing more: what is examined or written is done to its end, the rest is given back."""
        self._stopped.set()
        self._tasks.put(None)

    def run(self) -> None:
        """Work until `stop`.

        Raises:
            CommandError: the ledger cannot be used.
        """
        with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
            upcoming, written = reader.submit(self._next), _nothing()
            try:
                while (leased := upcoming.result()) is not None and not self._stopped.is_set():
                    upcoming = reader.submit(self._next)
                    self._worker.examine(leased)
                    written.result()
                    written = writer.submit(self._write, leased)
                    del leased  # so that a volume is gone once it is written
            finally:
                self.stop()
                if (unwanted := upcoming.result()) is not None:
                    self._report(self._worker.give_back(unwanted))
                self._refuse()
                written.result()

    def _next(self) -> LeasedCase | None:
        """The next case, read; None where nothing more is to be begun."""
        while (task := self._tasks.get()) is not None:
            if self._stopped.is_set():
                self._tasks.put(task)
                break
            leased = self._worker.read(task)
            if not isinstance(leased, Outcome):
                return leased
            self._report(leased)
        return None

    def _write(self, leased: LeasedCase) -> None:
        try:
            self._report(self._worker.write(leased))
        except BaseException:
            self.stop()  # nobody looks at this thread before there is another result
            raise

    def _refuse(self) -> None:
        """Tell of the tasks that are not begun."""
        try:
            while True:
                if (task := self._tasks.get_nowait()) is not None:
                    self._report(Outcome(key=task.job.key, state=State.PENDING))
        except Empty:
            self._tasks.put(None)  # who waits for a task must hear that there is none

    def _report(self, outcome: Outcome) -> None:
        if outcome.halt:
            self.stop()
        with self._telling:
            self._tell(outcome)


def _nothing() -> Future[None]:
    done: Future[None] = Future()
    done.set_result(None)
    return done
