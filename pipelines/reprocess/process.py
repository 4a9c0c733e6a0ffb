"""Worker processes: each with a pipe of its own, so that one that is killed breaks nothing that others use."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pipelines.reprocess.owner import identity
from pipelines.reprocess.plan import Task
from pipelines.reprocess.site import Site

READY, STAGE, OUTCOME, ERROR = "ready", "stage", "outcome", "error"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a worker process starts from.

    Args:
        archive: its folder.
        bundle: its folder.
        site: rules and limits.
        threads: of its network.
        debug: let libraries speak; they may name patients.
    """

    archive: Path
    bundle: Path
    site: Site
    threads: int = 1
    debug: bool = False


Target = Callable[[Any, Settings], None]


def serve(connection: Any, settings: Settings) -> None:
    """Body of a worker process: tasks come in by `connection`, stages and outcomes go out, until it is closed."""
    quietly(settings)
    work(connection, settings, lambda stage: connection.send((STAGE, stage)))


def quietly(settings: Settings) -> None:
    """Leave Ctrl-C to the parent, and print nothing: what libraries warn of may hold values of headers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if settings.debug:
        return
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)


def work(connection: Any, settings: Settings, on_stage: Callable[[str], None]) -> None:
    """Load the model, then do task after task."""
    from anomaly import BundleError
    from pipelines.problems import CommandError, one_line
    from pipelines.reprocess.worker import make_worker

    try:
        use_threads(settings.threads)
        worker = make_worker(settings.archive, settings.bundle, settings.site, on_stage)
        connection.send((READY, ""))
        while True:
            connection.send((OUTCOME, worker.run(connection.recv())))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent has ended
    except (CommandError, BundleError) as error:
        connection.send((ERROR, str(error)))
    except Exception as error:
        connection.send((ERROR, f"a worker failed: {one_line(error) if settings.debug else type(error).__name__}"))


def use_threads(threads: int) -> None:
    """So many for the network."""
    import torch

    torch.set_num_threads(threads)


class AnyWorker(ABC):
    """A worker as the coordinator knows it: at most one task at a time."""

    owner: str  # of its leases

    def __init__(self) -> None:
        self.ready = False
        self.task: Task | None = None
        self.since = 0.0

    def begin(self, task: Task) -> None:
        """It is at a task from now on."""
        self.task, self.since = task, time.monotonic()

    @property
    def idle(self) -> bool:
        """Can it be given a task?"""
        return self.ready and self.task is None

    @property
    def seconds(self) -> float:
        """How long it has been at its task."""
        return time.monotonic() - self.since if self.task is not None else 0.0

    @abstractmethod
    def give(self, task: Task) -> None:
        """Give it a task; one that a dead worker is given is found again by its `task`."""

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
        self.process.start()
        end.close()
        self.owner = identity(self.process.pid)

    def give(self, task: Task) -> None:
        """Give it a task; one that a dead worker is given is found again by its `task`."""
        self.begin(task)
        try:
            self.connection.send(task)
        except OSError:
            self.process.join(1)

    def messages(self) -> list[tuple[str, Any]]:
        """All that it has said and nobody has read."""
        told: list[tuple[str, Any]] = []
        try:
            while self.connection.poll():
                told.append(self.connection.recv())
        except (EOFError, OSError):
            pass
        return told

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


def _context() -> Any:
    """Processes forked from a server that has imported everything once, where there is such a thing."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipelines.reprocess.preload"])
    return context
