"""`Batch`: the coordinator. It hands tasks to workers, replaces dead ones, and keeps the bounds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from functools import partial
from multiprocessing.connection import wait

from pipelines.outputs.origin import Origin
from pipelines.problems import CommandError
from pipelines.reprocess.archive.store import Store
from pipelines.reprocess.crew.leased_case import Outcome
from pipelines.reprocess.crew.prefetch import Prefetch
from pipelines.reprocess.crew.process import OUTCOME, READY, AnyWorker, WorkerProcess, serve
from pipelines.reprocess.crew.settings import Settings, Target
from pipelines.reprocess.ledger.leases import LeaseWatch, end_leases, is_suspect
from pipelines.reprocess.ledger.ledger import Lease, Ledger, State
from pipelines.reprocess.ledger.reasons import meaning
from pipelines.reprocess.plan import Task

_TICK = 0.25  # seconds between looks at leases, time-outs and the disk
_UNREAD_IN_A_ROW = 5  # cases after which the source is taken to fail as a whole
_FALSE_STARTS = 3  # workers in a row that end before they are ready
OnNews = Callable[[Task, State, bool], None]


class Batch:
    """Works through tasks until each is done or quarantined, here or by another run on the same ledger.

    Args:
        ledger: the truth.
        store: of the archive.
        settings: of worker processes.
        workers: how many.
        target: body of a worker process.
        start: makes a worker of another kind from the settings; None: a process of this machine.
        on_news: called with a task, the state that its job is in, and whether it was found in it, with nothing done.
        on_tick: called again and again, with how many jobs another run has.
        again: keys of jobs that are done and whose outputs are to be made again.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        settings: Settings,
        *,
        workers: int,
        target: Target = serve,
        start: Callable[[Settings], AnyWorker] | None = None,
        on_news: OnNews = lambda _task, _state, _known: None,
        on_tick: Callable[[int], None] = lambda _: None,
        again: Collection[str] = (),
    ) -> None:
        self.ledger, self.store, self.settings = ledger, store, settings
        self.count, self.target, self.start, self.on_news, self.on_tick = workers, target, start, on_news, on_tick
        self.again = set(again)
        self.limits = settings.site.limits
        self.watch = LeaseWatch(ledger, patience=self.limits.lease_seconds, most=self.limits.attempts)
        self.workers: list[AnyWorker] = []
        self.waiting: deque[Task] = deque()
        self.suspects: deque[Task] = deque()  # may have ended a worker: each is done alone, once nothing else waits
        self.elsewhere: dict[str, Task] = {}  # under another run's lease, or a dead worker's
        self.unread: set[str] = set()  # jobs whose source cannot be read for now
        self._unread_in_a_row = 0
        self.halt = ""  # why nothing new is begun
        self._false_starts = 0
        self._looked = 0.0

    def run(self, tasks: Iterable[Task]) -> None:
        """Do all tasks.

        Raises:
            CommandError: the target or the ledger cannot be used, or workers cannot start. What was not done is
                pending.
        """
        planned = Prefetch(tasks, most=4 * self.count)
        try:
            while not self._finished(planned):
                self._fill(planned)
                self._hand_out()
                self._listen()
                self._look_around()
        finally:
            planned.close()
            self._end()
        if self.halt:
            raise CommandError(self.halt)

    @property
    def current(self) -> list[str]:
        """Names of the cases that workers are at."""
        return [next(iter(worker.tasks.values())).job.name for worker in self.workers if worker.tasks]

    def _finished(self, planned: Prefetch[Task]) -> bool:
        if any(worker.tasks for worker in self.workers):
            return False
        return bool(self.halt) or (planned.over and not self.waiting and not self.suspects and not self.elsewhere)

    def _fill(self, planned: Prefetch[Task]) -> None:
        """Take planned tasks into the ledger, as many as workers may soon ask for."""
        while not self.halt and len(self.waiting) < 2 * self.count and (task := planned.take()) is not None:
            state = self.ledger.enter(task.job, code=task.code, reason=task.reason)
            self.ledger.note_origin(task.job.key, partial(_origin, task))
            if state is State.DONE and not task.code and task.job.key in self.again:
                self.again.discard(task.job.key)
                state = self.ledger.reopen(task.job.key)
            self._sort(task, state, known=not task.code)

    def _sort(self, task: Task, state: State, *, known: bool = False) -> None:
        """Put a task where its job's state says that it belongs."""
        self.elsewhere.pop(task.job.key, None)
        if state is State.PENDING:
            (self.suspects if is_suspect(self.ledger, task.job.key) else self.waiting).append(task)
        elif state is State.RUNNING:
            self.elsewhere[task.job.key] = task
        else:
            self.on_news(task, state, known)

    def _hand_out(self) -> None:
        """Give workers tasks, and start workers while there are tasks for them."""
        if self.halt or not (self.waiting or self.suspects):
            return
        if self.store.free_gb() < self.limits.free_gb:
            self._stop(
                f"{self.store.free_gb():.1f} GB are free on the archive's disk, and the site file keeps "
                f"{self.limits.free_gb:g} GB free (limits.free_gb); make room and start again"
            )
            return
        while self.waiting and (worker := self._freest()) is not None:
            worker.give(self.waiting.popleft())
        for worker in self.workers:
            if worker.idle and self.suspects:
                worker.give(self.suspects.popleft(), alone=True)
        if len(self.workers) < self.count and (self.waiting or self.suspects):
            start = self.start or (lambda settings: WorkerProcess(settings, self.target))
            self.workers.append(start(self.settings))

    def _freest(self) -> AnyWorker | None:
        """The worker with the fewest tasks, if it has room; while workers are starting, none gets a second one."""
        worker = min((one for one in self.workers if one.has_room), key=lambda one: len(one.tasks), default=None)
        starting = len(self.workers) < self.count or not all(one.ready for one in self.workers)
        return None if worker is not None and worker.tasks and starting else worker

    def _stop(self, why: str) -> None:
        """Begin nothing more."""
        self.halt = self.halt or why
        for worker in self.workers:
            worker.stop()

    def _listen(self) -> None:
        """Wait for news, and take it in."""
        wait([one for worker in self.workers for one in worker.waitables], timeout=_TICK / 10)
        for worker in list(self.workers):
            dead = worker.dead  # before the messages: what it said at its end must be heard
            for kind, said in worker.messages():
                self._hear(worker, kind, said)
            if dead:
                self._bury(worker)

    def _hear(self, worker: AnyWorker, kind: str, said: object) -> None:
        if kind == READY:
            worker.ready, self._false_starts = True, 0
        elif kind == OUTCOME and isinstance(said, Outcome):
            if said.halt:
                self._stop(said.halt)
            if (task := worker.ended(said.key)) is not None:
                self._unread_in_a_row = self._unread_in_a_row + 1 if said.is_unread else 0
                if said.is_unread:
                    self._put_aside(task)
                else:
                    self._sort(task, said.state or State.RUNNING)
        else:
            self._stop(str(said))

    def _put_aside(self, task: Task) -> None:
        """Leave a job that could not be read to the next run; where that befalls one after the other, end this one."""
        self.unread.add(task.job.key)
        self.on_news(task, State.PENDING, False)
        if self._unread_in_a_row >= _UNREAD_IN_A_ROW:
            self._stop(f"{_UNREAD_IN_A_ROW} cases in a row cannot be read: see to the source's disk or share")

    def _bury(self, worker: AnyWorker) -> None:
        """End a worker and its leases."""
        self.workers.remove(worker)
        worker.end(kill=True)
        end_leases(self.ledger, self._leases_of(worker), most=self.limits.attempts)
        self.elsewhere.update(worker.tasks)
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts >= _FALSE_STARTS:
                self._stop(f"{_FALSE_STARTS} workers in a row ended before they were ready")

    def _time_out(self, worker: AnyWorker) -> None:
        """End a worker for its oldest case; what else it had is given back."""
        worker.end(kill=True)
        oldest = next(iter(worker.tasks))
        for lease in self._leases_of(worker):
            if lease.key == oldest:
                self.ledger.fail(lease, code="TIME_OUT", reason=meaning("TIME_OUT"), most=self.limits.attempts)
        self._give_back(worker)
        self._bury(worker)

    def _give_back(self, worker: AnyWorker) -> None:
        for lease in self._leases_of(worker):
            self.ledger.give_back(lease, code="STOPPED")

    def _leases_of(self, worker: AnyWorker) -> list[Lease]:
        return [lease for lease in self.ledger.leases() if lease.owner == worker.owner]

    def _look_around(self) -> None:
        """Now and then: end workers that take too long, take silent leases over, see what became of others' jobs."""
        if time.monotonic() - self._looked < _TICK:
            return
        self._looked = time.monotonic()
        for worker in [worker for worker in self.workers if worker.seconds > self.limits.case_seconds]:
            self._time_out(worker)
        self.on_tick(len(self.elsewhere))
        if self.elsewhere:
            self.watch.take_over()
            for key, state in self.ledger.states(list(self.elsewhere)).items():
                self._sort(self.elsewhere[key], state)

    def _end(self) -> None:
        """Let idle workers go; what busy ones have is given back."""
        for worker in self.workers:
            busy = bool(worker.tasks)
            worker.end(kill=busy)
            if busy:
                self._give_back(worker)
        self.workers.clear()


def _origin(task: Task) -> dict[str, object]:
    origin = Origin.of(task.case)
    words = {"study": origin.study[:64], "series": origin.series[:64], "sequence": origin.sequence}
    return {**words, "voxel_mm": origin.size[:48], "slices": origin.slices}
