"""One worker: takes a lease on a job, reads, examines, writes and publishes; whatever goes wrong stays with the job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.outputs.stored import ability
from pipelines.problems import causes
from pipelines.reprocess.archive.outputs import Published, write_missing, write_outputs
from pipelines.reprocess.archive.store import Store
from pipelines.reprocess.crew.leased_case import LeasedCase, Life, Outcome
from pipelines.reprocess.ledger.hashes import stamp
from pipelines.reprocess.ledger.identity import identity
from pipelines.reprocess.ledger.ledger import Lease, LeaseLostError, Ledger, State
from pipelines.reprocess.ledger.reasons import OUT_OF_MEMORY, CaseError, is_final, meaning, target_fault
from pipelines.reprocess.plan import Task
from pipelines.reprocess.site import Site
from pipelines.reprocess.source import Root, is_absent, is_failing, is_missing

if TYPE_CHECKING:
    from anomaly import Examination, Finding
    from data_prep import Volume
    from pipelines.reprocess.crew.settings import Settings

_ENDS = ("WORKER_DIED", "TIME_OUT")  # of workers
STAGES = ("claimed", "read", "examined", "written", "sealed", "published", "committed")


class Examiner(Protocol):
    """What a worker needs of a detector."""

    def examine(self, volume: Volume, *, case: str = "") -> Examination:
        """Examine the volume of a case."""


class Worker:
    """Works on one task after the other.

    Args:
        ledger: the truth.
        store: of the archive.
        site: rules and limits.
        detector: of the bundle.
        on_stage: called at the end of every stage, one of `STAGES`.
        source: where the cases come from; None: it is not asked whether it is still there.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        store: Store,
        site: Site,
        detector: Examiner,
        on_stage: Callable[[str], None] = lambda _: None,
        source: Root | None = None,
    ) -> None:
        self.ledger, self.store, self.site, self.detector, self.on_stage = ledger, store, site, detector, on_stage
        self.source, self.owner, self.moved = source, identity(), time.monotonic()

    def run(self, task: Task) -> Outcome:
        """Do a task, one stage after the other; `Overlap` does several at once.

        Raises:
            CommandError: the ledger cannot be used.
        """
        leased = self.read(task)
        if isinstance(leased, Outcome):
            return leased
        self.examine(leased)
        return self.write(leased)

    def read(self, task: Task) -> LeasedCase | Outcome:
        """Take a lease on a task and read its volume; or what became of it.

        Raises:
            CommandError: the ledger cannot be used. So do the other stages.
        """
        lease = self.ledger.claim(task.job.key, self.owner)
        if lease is None:
            return Outcome(key=task.job.key)
        life = Life(self.ledger, lease, patience=self.site.limits.lease_seconds, is_moving=self._is_moving)
        leased = LeasedCase(task=task, lease=lease, life=life)
        with self._stage(leased):
            self.on_stage("claimed")
            manifest = self.store.published(lease.key)
            before = Published(folder=self.store.place(lease.key), manifest=manifest) if manifest is not None else None
            # whole: its worker ended between the rename and the commit
            if before is not None and (not before.failed or self._is_last_try(lease)):
                self._commit(leased, before.manifest["result"], lambda: None)
            else:
                started = time.perf_counter()
                leased.before = before
                leased.volume = self._volume(task)
                leased.exam = before.examination() if before is not None else None
                leased.seconds["read"] = time.perf_counter() - started
                self.on_stage("read")
        return leased.outcome or leased

    def examine(self, leased: LeasedCase) -> None:
        """Examine a volume that is read, unless its result is there."""
        with self._stage(leased):
            assert leased.volume is not None
            started = time.perf_counter()
            if leased.exam is None:
                leased.exam = self.detector.examine(leased.volume, case=leased.task.job.name)
            leased.seconds["examine"] = time.perf_counter() - started
            self.on_stage("examined")

    def write(self, leased: LeasedCase) -> Outcome:
        """Write, publish and commit what the examination gave; what became of the task."""
        if leased.outcome is None:
            with self._stage(leased):
                self._write(leased)
        assert leased.outcome is not None
        return leased.outcome

    def give_back(self, leased: LeasedCase) -> Outcome:
        """End the lease of a case that is not to be done now; its attempt does not count."""
        leased.close()
        given = self.ledger.give_back(leased.lease, code="STOPPED")
        return Outcome(key=leased.lease.key, state=State.PENDING if given else None)

    def _write(self, leased: LeasedCase) -> None:
        task, lease, volume, exam = leased.task, leased.lease, leased.volume, leased.exam
        assert volume is not None
        assert exam is not None
        started = time.perf_counter()
        folder = self.store.begin(lease)
        if leased.before is None:
            unless = _ENDS[0] if self._is_last_try(lease) else ""
            names, exam = write_outputs(task, volume, exam, folder, self.site.outputs, unless=unless)
        else:
            names, exam = write_missing(task, volume, exam, folder, self.site.outputs, leased.before)
        self.on_stage("written")
        leased.seconds["write"] = time.perf_counter() - started
        result = _result(exam.finding, names, leased.seconds)
        job = {name: getattr(task.job, name) for name in ("key", "input", "bundle", "version", "weights")}
        how = {"configuration": task.job.configuration, "software": ability()}
        self.store.seal(folder, {**job, **how, "result": result})
        self.on_stage("sealed")

        def publish() -> None:
            self.store.publish(lease)
            self.on_stage("published")

        self._commit(leased, result, publish)

    def _commit(self, leased: LeasedCase, result: dict[str, Any], publish: Callable[[], None]) -> None:
        self.ledger.finish(leased.lease, result, publish)
        leased.close()
        self.store.discard(leased.lease)
        self.on_stage("committed")
        leased.outcome = Outcome(key=leased.lease.key, state=State.DONE)

    @contextmanager
    def _stage(self, leased: LeasedCase) -> Iterator[None]:
        """Whatever goes wrong in a stage ends the case, and only the case."""
        self.moved = time.monotonic()
        try:
            yield
        except BaseException as error:
            is_read = leased.volume is not None
            leased.close()
            self.store.discard(leased.lease)
            if not isinstance(error, Exception):
                raise
            leased.outcome = self._failed(leased, error, is_read=is_read)

    def _volume(self, task: Task) -> Volume:
        volume = task.case.volume(allow_gaps=self.site.series.allow_gaps)
        found = task.case.parts or (task.case,)
        sources = [source for case in found if case.series is not None for source in case.series.sources]
        if sources and tuple(sorted(map(stamp, sources))) != task.stamps:
            raise CaseError("CHANGED")
        return volume

    def _is_moving(self) -> bool:
        """Has any stage begun for as long as a case may take? A worker that hangs gives no more signs of life."""
        return time.monotonic() - self.moved < self.site.limits.case_seconds

    def _unread(self, lease: Lease, error: Exception) -> Outcome | None:
        """The outcome where the source is to blame, and not the case: the attempt does not count."""
        if not is_absent(error) and not is_failing(error):
            return None
        fault = self.source.fault() if self.source is not None else ""
        if not fault and not is_failing(error) and not is_missing(error):
            return None
        self.ledger.give_back(lease, code="SOURCE")
        return Outcome(key=lease.key, state=State.PENDING, halt=fault, is_unread=not fault)

    def _is_last_try(self, lease: Lease) -> bool:
        """Is this the last attempt at a job that has ended a worker before?

        Then its result is written and nothing else: who draws pictures and makes DICOM objects is given what strangers
        wrote, and the result is not to be lost to it.
        """
        if not self.ledger.has_ended_with(lease.key, _ENDS):
            return False
        (row,) = self.ledger.rows(State.RUNNING, keys=[lease.key])
        return bool(row["attempts"] >= self.site.limits.attempts)

    def _failed(self, leased: LeasedCase, error: Exception, *, is_read: bool) -> Outcome:
        """The right state for a job that could not be done, without a word of what the error says."""
        from anomaly.engines.shortage import is_shortage
        from data_prep import InputError
        from pipelines.problems import CommandError

        lease = leased.lease
        for cause in causes(error):
            if isinstance(cause, LeaseLostError):
                return Outcome(key=lease.key)
            if isinstance(cause, CommandError):
                raise cause
            if fault := target_fault(cause) or (is_read and is_failing(cause) and str(cause)):
                self.ledger.give_back(lease, code="TARGET")
                return Outcome(key=lease.key, state=State.PENDING, halt=f"nothing can be written: {fault}")
        if leased.before is not None:  # what it had stays
            self.ledger.finish(lease, leased.before.manifest["result"], lambda: None)
            return Outcome(key=lease.key, state=State.DONE)
        if not is_read and (outcome := self._unread(lease, error)) is not None:
            return outcome
        known = next((cause for cause in causes(error) if isinstance(cause, InputError | CaseError)), error)
        code = getattr(known, "code", None) or type(known).__name__
        if any(map(is_shortage, causes(error))):
            code = OUT_OF_MEMORY
        most = 0 if is_final(code) else self.site.limits.attempts
        return Outcome(key=lease.key, state=self.ledger.fail(lease, code=code, reason=meaning(code), most=most))


def make_worker(settings: Settings, on_stage: Callable[[str], None]) -> Worker:
    """A worker of this process: ledger opened, model loaded.

    Raises:
        CommandError: no ledger, or no such device.
        BundleError: the bundle is incomplete or its files do not belong together.
    """
    from pipelines.bundles import load

    site = settings.site
    ledger = Ledger.of(settings.archive, site.ledger, wait=site.limits.lock_seconds)
    detector = load(settings.bundle, device=site.device, calibration=site.calibration, precision=site.precision)
    store = Store(settings.archive)
    return Worker(ledger=ledger, store=store, site=site, detector=detector, on_stage=on_stage, source=settings.source)


def _result(finding: Finding, names: dict[str, str], seconds: dict[str, float]) -> dict[str, Any]:
    """Columns of `jobs`; `seconds` is what the case took, without its waiting for other cases."""
    return {
        "seconds": round(sum(seconds.values()), 4),
        "timings": {**finding.timings, **{stage: round(seconds[stage], 4) for stage in ("read", "write")}},
        "score": finding.score,
        "p_value": finding.p_value,
        "abnormal": finding.abnormal,
        "lesions": len(finding.lesions),
        "volume_ml": round(sum(lesion.volume_ml for lesion in finding.lesions), 3),
        "flags": finding.flags,
        "appearance": finding.appearance,
        "outputs": names,
    }
