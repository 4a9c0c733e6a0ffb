"""Worker processes: each with a pipe of its own, so that one that is killed breaks nothing that others use."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from data_prep.child import safe_path, stay_out_of_working_directory
from pipelines.reprocess.crew.overlap import IN_WORK, Overlap
from pipelines.reprocess.crew.settings import Settings, Target
from pipelines.reprocess.ledger.identity import identity
from pipelines.reprocess.plan import Task
from pipelines.reprocess.site import Limits

if TYPE_CHECKING:
    from pipelines.reprocess.crew.worker import Worker

READY, OUTCOME, ERROR = "ready", "outcome", "error"


def serve(connection: Any, settings: Settings) -> None:
    """Body of a worker process: tasks come in by `connection` and outcomes go out, until it is closed."""
    quietly(settings)
    work(connection, settings, lambda _stage: None)


def quietly(settings: Settings) -> None:
    """Leave Ctrl-C to the parent, and print nothing: what libraries warn of may hold values of headers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stay_out_of_working_directory()
    if settings.debug:
        return
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)


def work(
    connection: Any,
    settings: Settings,
    on_stage: Callable[[str], None],
    make: Callable[[Settings, Callable[[str], None]], Worker] | None = None,
) -> None:
    """Load the model, then do what comes in until there is a None, or the parent has ended.

    Args:
        connection: to the parent.
        settings: of the worker.
        on_stage: of `Worker`; called in any of the threads of `Overlap`.
        make: the worker, from its settings; None: `make_worker`, with the model of the bundle.
    """
    from anomaly import BundleError
    from pipelines.problems import CommandError, one_line
    from pipelines.reprocess.crew.worker import make_worker

    watch = Watch(settings.site.limits)

    def moved(stage: str) -> None:
        watch.moved()
        on_stage(stage)

    def tell(kind: str, said: object) -> None:
        if kind == OUTCOME:
            watch.ended()
        with suppress(OSError):  # the parent has ended, as `_receive` sees; what is committed is in the ledger
            connection.send((kind, said))

    try:
        use_threads(settings.threads)
        worker = (make or make_worker)(settings, moved)
        tell(READY, "")
        overlap = Overlap(worker, lambda outcome: tell(OUTCOME, outcome))
        threading.Thread(target=_receive, args=(connection, overlap, worker, watch), daemon=True).start()
        overlap.run()
    except (CommandError, BundleError) as error:
        tell(ERROR, str(error))
    except Exception as error:
        tell(ERROR, f"a worker failed: {one_line(error) if settings.debug else type(error).__name__}")


def _receive(connection: Any, overlap: Overlap, worker: Worker, watch: Watch) -> None:
    """Hand over what comes in, until there is no more, or the parent has ended."""
    try:
        while (task := connection.recv()) is not None:
            watch.begin()
            overlap.give(task)
    except (EOFError, OSError):
        watch.end_soon(worker)
    overlap.stop()


class Watch:
    """Ends this process where nobody else can: its parent is gone, and it hangs.

    The alarm's signal needs no Python to run: it ends a process as well that hangs in a library's code.

    Args:
        limits: of the site. The parent ends a worker after `case_seconds`; this is for one without a parent.
    """

    def __init__(self, limits: Limits) -> None:
        self._grace = min(limits.case_seconds, limits.lease_seconds)
        self._seconds, self._open, self._lock = limits.case_seconds + self._grace, 0, threading.Lock()

    def begin(self) -> None:
        """One more task."""
        self._count(1)

    def moved(self) -> None:
        """A stage of a task has ended."""
        self._count(0)

    def ended(self) -> None:
        """One task less."""
        self._count(-1)

    def end_soon(self, worker: Worker) -> None:
        """The parent has ended: what is begun may be finished, for a while; what is not is given back then."""

        def end() -> None:
            try:
                for lease in worker.ledger.leases():
                    if lease.owner == worker.owner:
                        worker.ledger.give_back(lease, code="STOPPED")
            finally:
                os._exit(1)

        timer = threading.Timer(self._grace, end)
        timer.daemon = True
        timer.start()

    def _count(self, more: int) -> None:
        with self._lock:
            self._open = max(0, self._open + more)
            if hasattr(signal, "setitimer"):
                signal.setitimer(signal.ITIMER_REAL, self._seconds if self._open else 0)


def use_threads(threads: int) -> None:
    """So many for the network."""
    import torch

    torch.set_num_threads(threads)


class AnyWorker(ABC):
    """A worker as the coordinator knows it: one case is read, one examined and one written."""

    owner: str  # of its leases

    def __init__(self) -> None:
        self.ready = False
        self.tasks: dict[str, Task] = {}  # by their jobs' keys, the oldest first
        self._alone = False
        self._since = 0.0

    def begin(self, task: Task, *, alone: bool = False) -> None:
        """It is at a task from now on.

        Args:
            task: the task.
            alone: it gets no other before this one is done.
        """
        if not self.tasks:
            self._since = time.monotonic()
        self.tasks[task.job.key], self._alone = task, alone

    def ended(self, key: str) -> Task | None:
        """It is no longer at a task, which is given back."""
        if key == next(iter(self.tasks), None):
            self._since = time.monotonic()
        return self.tasks.pop(key, None)

    @property
    def idle(self) -> bool:
        """Has it nothing to do?"""
        return self.ready and not self.tasks

    @property
    def has_room(self) -> bool:
        """Can it be given a task?"""
        return self.idle or (self.ready and not self._alone and len(self.tasks) < IN_WORK)

    @property
    def seconds(self) -> float:
        """How long its oldest task has been the oldest: no other can be what keeps that one."""
        return time.monotonic() - self._since if self.tasks else 0.0

    @abstractmethod
    def give(self, task: Task, *, alone: bool = False) -> None:
        """Give it a task, as of `begin`; those that a dead worker was given are found again by its `tasks`."""

    @abstractmethod
    def stop(self) -> None:
        """Let it begin nothing more; it tells of what it has not begun."""

    @abstractmethod
    def messages(self) -> list[tuple[str, Any]]:
        """All that it has said and nobody has read."""

    @property
    @abstractmethod
    def dead(self) -> bool:
        """Has it ended, with nothing left to read?"""

    @abstractmethod
    def end(self, *, kill: bool = False) -> None:
        """Let it go once its task is done, or at once."""

    @property
    @abstractmethod
    def waitables(self) -> list[Connection | int]:
        """What becomes ready when there is news."""


class WorkerProcess(AnyWorker):
    """One worker process and what it is doing.

    Args:
        settings: it starts from.
        target: its body.
    """

    def __init__(self, settings: Settings, target: Target = serve) -> None:
        super().__init__()
        context = _context()
        self.connection, end = context.Pipe()
        self.process = context.Process(target=target, args=(end, settings), daemon=True)
        with safe_path():
            self.process.start()
        end.close()
        self.owner = identity(self.process.pid)

    def give(self, task: Task, *, alone: bool = False) -> None:
        """Give it a task, as of `begin`; those that a dead worker was given are found again by its `tasks`."""
        self.begin(task, alone=alone)
        self._send(task)

    def stop(self) -> None:
        """Let it begin nothing more; it tells of what it has not begun."""
        self._send(None)

    def messages(self) -> list[tuple[str, Any]]:
        """All that it has said and nobody has read."""
        messages: list[tuple[str, Any]] = []
        try:
            while self.connection.poll():
                messages.append(self.connection.recv())
        except (EOFError, OSError):
            pass
        return messages

    @property
    def dead(self) -> bool:
        """Has it ended, with nothing left to read?"""
        return not self.process.is_alive()

    def end(self, *, kill: bool = False) -> None:
        """Let it go once its task is done, or at once."""
        self.connection.close()
        if kill:
            self.process.kill()
        self.process.join()

    @property
    def waitables(self) -> list[Connection | int]:
        """What becomes ready when there is news."""
        return [self.connection, self.process.sentinel]

    def _send(self, task: Task | None) -> None:
        try:
            self.connection.send(task)
        except OSError:
            self.process.join(1)


def _context() -> Any:
    """Processes forked from a server that has imported everything once, where there is such a thing."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipelines.reprocess.crew.preload"])
    return context
