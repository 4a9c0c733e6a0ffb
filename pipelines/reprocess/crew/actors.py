"""Workers as Ray actors: the same worker, on every machine of a Ray cluster. The ledger is the truth, not Ray."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

from data_prep.child import safe_path
from pipelines.problems import CommandError
from pipelines.reprocess.crew.process import ERROR, OUTCOME, READY, AnyWorker, quietly
from pipelines.reprocess.crew.settings import Settings

if TYPE_CHECKING:
    from pipelines.reprocess.crew.leased_case import Outcome
    from pipelines.reprocess.plan import Task

_PATIENCE = 0.1  # seconds that an actor waits for news before it says that there is none


class Actor:
    """Body of an actor: a model that is loaded once, and a worker that commits to the ledger by itself.

    Args:
        settings: it starts from.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._outcomes: Queue[Outcome | Exception] = Queue()

    def load(self) -> str:
        """Open the ledger and load the model; who holds this actor's leases."""
        from pipelines.reprocess.crew.overlap import Overlap
        from pipelines.reprocess.crew.process import use_threads
        from pipelines.reprocess.crew.worker import make_worker

        settings = self._settings
        quietly(settings)
        use_threads(settings.threads)
        worker = make_worker(settings, lambda _: None)
        self._overlap = Overlap(worker, self._outcomes.put)
        threading.Thread(target=self._run, daemon=True).start()
        return worker.owner

    def give(self, task: Task) -> None:
        """One more task; see `Overlap.give`."""
        self._overlap.give(task)

    def stop(self) -> None:
        """Begin nothing more; see `Overlap.stop`."""
        self._overlap.stop()

    def hear(self) -> list[Outcome]:
        """What became of tasks since this was asked last, after a short time for there to be anything."""
        outcomes: list[Outcome] = []
        try:
            while True:
                said = self._outcomes.get(timeout=0 if outcomes else _PATIENCE)
                if isinstance(said, Exception):
                    raise said
                outcomes.append(said)
        except Empty:
            return outcomes

    def _run(self) -> None:
        try:
            self._overlap.run()
        except Exception as error:
            self._outcomes.put(error)


class RayWorker(AnyWorker):
    """An actor, as `Batch` knows workers. Ray neither retries a task nor restarts an actor: `Batch` does.

    Args:
        settings: the actor starts from.
    """

    def __init__(self, settings: Settings) -> None:
        import ray

        super().__init__()
        gpus = 1 if str(settings.site.device).startswith("cuda") else 0
        options = {"num_cpus": settings.threads, "num_gpus": gpus, "max_restarts": 0, "max_task_retries": 0}
        self.actor: Any = ray.remote(Actor).options(**options).remote(settings)
        self.owner = ""
        self._dead = False
        self._asked: Any = self.actor.load.remote()

    def give(self, task: Task, *, alone: bool = False) -> None:
        """Give it a task, as of `begin`."""
        self.begin(task, alone=alone)
        self.actor.give.remote(task)

    def stop(self) -> None:
        """Let it begin nothing more; it tells of what it has not begun."""
        if self.ready:
            self.actor.stop.remote()

    def messages(self) -> list[tuple[str, Any]]:
        """Its answer, where there is one that nobody has read."""
        import ray

        if self._asked is None or not ray.wait([self._asked], timeout=0)[0]:
            return []
        asked, self._asked = self._asked, None
        try:
            answer = ray.get(asked)
        except ray.exceptions.RayTaskError as error:
            return [(ERROR, _said(error))]
        except ray.exceptions.RayActorError:
            self._dead = True
            return []
        self._asked = self.actor.hear.remote()
        if self.ready:
            return [(OUTCOME, outcome) for outcome in answer]
        self.owner = answer
        return [(READY, "")]

    @property
    def dead(self) -> bool:
        """Has it ended?"""
        return self._dead

    def end(self, *, kill: bool = False) -> None:
        """Let it go; Ray knows but one way."""
        import ray

        ray.kill(self.actor, no_restart=True)

    @property
    def waitables(self) -> list[Connection | int]:
        """Nothing that the coordinator could wait for beside pipes; it looks often."""
        return []


@contextmanager
def cluster(settings: Settings, workers: int) -> Iterator[None]:
    """Ray for the time of the body: the cluster `$RAY_ADDRESS`, or one of this machine alone, on loopback.

    No dashboard, no usage statistics; what workers print is not shown, for it may name patients.

    Args:
        settings: of the workers.
        workers: how many.

    Raises:
        CommandError: Ray is not installed, or there is no such cluster.
    """
    address = os.environ.get("RAY_ADDRESS")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not address:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's way to ask for loopback, on Linux as well
    try:
        import ray
    except ImportError as error:
        msg = "--engine ray needs Ray: pip install 'healthytwin[ray]'"
        raise CommandError(msg) from error
    own: dict[str, Any] = {"num_cpus": workers * settings.threads, "include_dashboard": False}
    try:
        with safe_path():
            ray.init(
                address=address or "local",
                job_config=_job_config(),
                log_to_driver=settings.debug,
                logging_level=logging.INFO if settings.debug else logging.ERROR,
                **({} if address else own),
            )
    except Exception as error:  # Ray raises plain ones where a part of it does not start
        msg = f"Ray cannot be started: {' '.join(str(error).split())[:200]}"
        raise CommandError(msg) from error
    try:
        _check_loopback(ray, address)
        yield
    finally:
        ray.shutdown()


def _job_config() -> Any:
    """Of a job whose actors import nothing from the driver's working directory, which Ray would add to their paths."""
    from ray.job_config import JobConfig

    class Config(JobConfig):  # type: ignore[misc]
        def _runtime_env_has_working_dir(self) -> bool:
            return True  # so that Ray 2.60 leaves the driver's own alone

    return Config(_py_driver_sys_path=[str(Path(__file__).resolve().parents[3])])


def _check_loopback(ray: Any, address: str | None) -> None:
    """Raise `CommandError` where Ray was imported before it could be made to stay on this machine."""
    host = ray.nodes()[0]["NodeManagerAddress"]
    if not address and not host.startswith("127."):
        msg = f"Ray listens at {host} and not on loopback; start the run in a process that has not imported Ray before"
        raise CommandError(msg)


def _said(error: Any) -> str:
    """What ended an actor: our own sentences as they are, of others the type alone."""
    from anomaly import BundleError

    cause = error.cause
    return str(cause) if isinstance(cause, CommandError | BundleError) else f"a worker failed: {type(cause).__name__}"
