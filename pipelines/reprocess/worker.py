"""One worker: takes a lease on a job, reads, examines, writes and publishes; whatever goes wrong stays with the job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.problems import causes
from pipelines.reprocess.hashes import stamp
from pipelines.reprocess.ledger import Lease, LeaseLostError, Ledger, State
from pipelines.reprocess.outputs import write_outputs
from pipelines.reprocess.owner import identity
from pipelines.reprocess.plan import Task
from pipelines.reprocess.reasons import CaseError, is_final, meaning, target_fault
from pipelines.reprocess.site import Site
from pipelines.reprocess.store import Store

if TYPE_CHECKING:
    from anomaly import Detector, Finding
    from data_prep import Volume

STAGES = ("claimed", "read", "examined", "written", "sealed", "published", "committed")
_BEATS = 4  # in the time of a lease


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a task.

    Args:
        key: of its job.
        state: that the job is in now; None: another worker has it, or had it.
        halt: why the whole run must end; "" where it need not.
    """

    key: str
    state: State | None = None
    halt: str = ""


class Worker:
    """Works on one task after the other.

    Args:
        ledger: the truth.
        store: of the archive.
        site: rules and limits.
        detector: of the bundle.
        on_stage: called at the end of every stage, one of `STAGES`.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        store: Store,
        site: Site,
        detector: Detector,
        on_stage: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.ledger, self.store, self.site, self.detector, self.on_stage = ledger, store, site, detector, on_stage
        self.owner = identity()

    def run(self, task: Task) -> Outcome:
        """Do a task.

        Raises:
            CommandError: the ledger cannot be used.
        """
        lease = self.ledger.claim(task.job.key, self.owner)
        if lease is None:
            return Outcome(key=task.job.key)
        self.on_stage("claimed")
        try:
            with self._alive(lease):
                self._work(task, lease)
        except LeaseLostError:
            return Outcome(key=lease.key)
        except Exception as error:
            return self._failed(lease, error)
        finally:
            self.store.discard(lease)
        self.on_stage("committed")
        return Outcome(key=lease.key, state=State.DONE)

    def _work(self, task: Task, lease: Lease) -> None:
        manifest = self.store.published(lease.key)
        if manifest is not None:  # its worker ended between the rename and the commit
            self.ledger.finish(lease, manifest["result"], lambda: None)
            return
        started = time.perf_counter()
        volume = self._read(task)
        read = time.perf_counter()
        self.on_stage("read")
        exam = self.detector.examine(volume, case=task.job.name)
        self.on_stage("examined")
        folder, examined = self.store.begin(lease), time.perf_counter()
        names = write_outputs(task, volume, exam, folder, self.site.outputs)
        self.on_stage("written")
        seconds = {"read": read - started, "write": time.perf_counter() - examined}
        result = _result(exam.finding, names, seconds, total=time.perf_counter() - started)
        job = {name: getattr(task.job, name) for name in ("key", "input", "bundle", "version", "weights")}
        self.store.seal(folder, {**job, "configuration": task.job.configuration, "result": result})
        self.on_stage("sealed")

        def publish() -> None:
            self.store.publish(lease)
            self.on_stage("published")

        self.ledger.finish(lease, result, publish)

    def _read(self, task: Task) -> Volume:
        volume = task.case.volume(allow_gaps=self.site.series.allow_gaps)
        series = task.case.series
        sources = series.sources if series is not None else ()
        if sources and tuple(sorted(map(stamp, sources))) != task.stamps:
            raise CaseError("CHANGED")
        return volume

    def _failed(self, lease: Lease, error: Exception) -> Outcome:
        """The right state for a job that could not be done, without a word of what the error says."""
        from data_prep import InputError
        from pipelines.problems import CommandError

        for cause in causes(error):
            if isinstance(cause, CommandError):
                raise cause
            if fault := target_fault(cause):
                self.ledger.give_back(lease, code="TARGET")
                return Outcome(key=lease.key, state=State.PENDING, halt=f"nothing can be written: {fault}")
        known = next((cause for cause in causes(error) if isinstance(cause, InputError | CaseError)), error)
        code = getattr(known, "code", None) or type(known).__name__
        most = 0 if is_final(code) else self.site.limits.attempts
        return Outcome(key=lease.key, state=self.ledger.fail(lease, code=code, reason=meaning(code), most=most))

    @contextmanager
    def _alive(self, lease: Lease) -> Iterator[None]:
        """Give signs of life while the body runs."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(self.site.limits.lease_seconds / _BEATS):
                try:
                    if not self.ledger.beat(lease):
                        return
                except Exception:  # the commit will say what is wrong with the ledger
                    continue

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def make_worker(archive: Path, bundle: Path, site: Site, on_stage: Callable[[str], None]) -> Worker:
    """A worker of this process: ledger opened, model loaded.

    Raises:
        CommandError: no ledger, or no such device.
        BundleError: the bundle is incomplete or its files do not belong together.
    """
    from pipelines.bundles import load

    ledger = Ledger.of(archive, site.ledger, wait=site.limits.lock_seconds)
    detector = load(bundle, device=site.device, calibration=site.calibration)
    return Worker(ledger=ledger, store=Store(archive), site=site, detector=detector, on_stage=on_stage)


def _result(finding: Finding, names: dict[str, str], seconds: dict[str, float], *, total: float) -> dict[str, Any]:
    """Columns of `jobs`."""
    timings = {**finding.timings, **{stage: round(value, 4) for stage, value in seconds.items()}}
    return {
        "seconds": round(total, 4),
        "timings": timings,
        "score": finding.score,
        "p_value": finding.p_value,
        "abnormal": finding.abnormal,
        "lesions": len(finding.lesions),
        "volume_ml": round(sum(lesion.volume_ml for lesion in finding.lesions), 3),
        "flags": finding.flags,
        "appearance": finding.appearance,
        "outputs": names,
    }
