"""What is not a case's fault: a full disk, a target that cannot be written, workers that die or hang."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archive import Bench
from bright import BrightIsAbnormal

from pipelines.problems import CommandError
from pipelines.reprocess.crew.leased_case import LeasedCase
from pipelines.reprocess.crew.process import quietly, work
from pipelines.reprocess.crew.settings import Settings, Target
from pipelines.reprocess.crew.worker import Worker
from pipelines.reprocess.ledger.ledger import Ledger, State
from pipelines.reprocess.run import ReprocessRecord, reprocess
from tests.soak.bundle import make_bundle


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 600 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system can be mounted by root alone")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_fills_up_loses_nothing(bench: Bench, source: Path, small_disk: Path) -> None:
    (bench.archive / ".partial").symlink_to(small_disk / "partial")
    (bench.archive / "cases").symlink_to(small_disk / "cases")
    for name in ("partial", "cases"):
        (small_disk / name).mkdir()
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "filler").write_bytes(bytes(700_000))
    outcomes = bench.work(source)
    assert {outcome.state for outcome in outcomes} == {State.PENDING}
    assert {outcome.halt for outcome in outcomes} == {"nothing can be written: No space left on device"}
    assert [row["attempts"] for row in bench.ledger.rows()] == [0, 0, 0]
    assert list((small_disk / "cases").iterdir()) == list((small_disk / "partial").iterdir()) == []
    (small_disk / "filler").unlink()
    assert [outcome.state for outcome in bench.work(source)] == [State.DONE] * 3


def test_a_disk_that_fills_up_ends_the_run_and_the_next_one_goes_on(
    source: Path, tmp_path: Path, small_disk: Path
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    for name in (".partial", "cases"):
        (small_disk / name).mkdir()
        (archive / name).symlink_to(small_disk / name)
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "filler").write_bytes(bytes(700_000))
    bundle = make_bundle(tmp_path / "made")
    with pytest.raises(CommandError, match="nothing can be written: No space left on device"):
        reprocess(source, archive, bundle=bundle, workers=1)
    ledger = Ledger.of(archive)
    assert {(row["state"], row["attempts"]) for row in ledger.rows()} == {("pending", 0)}
    assert {attempt["outcome"] for attempt in ledger.history()} == {"given back"}
    ledger.close()
    (small_disk / "filler").unlink()
    assert reprocess(source, archive, bundle=bundle, workers=1).jobs["done"] == 3


def test_a_file_that_may_not_grow_any_further(bench: Bench, source: Path) -> None:
    tasks = bench.enter(source)
    worker = bench.worker()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(stage: str) -> None:
        if stage == "examined":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))

    worker.on_stage = limit
    try:
        with pytest.raises(CommandError, match="the ledger cannot be used"):
            worker.run(tasks[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    (lease,) = bench.ledger.leases()  # as a worker leaves it that can say nothing any more; its end frees it
    assert bench.ledger.give_back(lease, code="TARGET")
    assert bench.worker().run(tasks[0]).state is State.DONE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_target_that_cannot_be_written(source: Path, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir(mode=0o500)
    with pytest.raises(CommandError, match="cannot write"):
        reprocess(source, tmp_path / "archive", bundle=make_bundle(tmp_path / "made"))


def test_a_read_only_target(source: Path, tmp_path: Path, small_disk: Path) -> None:
    bundle = make_bundle(tmp_path / "made")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(CommandError, match="cannot write to this output folder: Read-only file system"):
        reprocess(source, small_disk / "archive", bundle=bundle)


def test_too_little_memory_is_tried_again_and_then_quarantined(bench: Bench, source: Path) -> None:
    class Greedy(BrightIsAbnormal):
        def examine(self, volume: Any, *, case: str = "") -> Any:
            raise MemoryError

    (task, *_) = bench.enter(source)
    worker = bench.worker(Greedy())
    states = [worker.run(task).state for _ in range(3)]
    assert states == [State.PENDING, State.PENDING, State.QUARANTINED]
    assert bench.ledger.rows(State.QUARANTINED)[0]["reason"] == "there was not enough memory for this case"


def stop_once(connection: Any, settings: Settings) -> None:
    """A worker that stops, as a machine does whose disk is gone, and says nothing any more; once."""

    def on_stage(stage: str) -> None:
        mark = settings.archive / "stopped"
        if stage == "examined" and not mark.exists():
            mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)

    quietly(settings)
    work(connection, settings, on_stage)


def die_on_every_case(connection: Any, settings: Settings) -> None:
    """A worker that its first case kills."""
    quietly(settings)
    work(connection, settings, lambda stage: os.kill(os.getpid(), signal.SIGKILL) if stage == "read" else None)


def die_on_one_case(connection: Any, settings: Settings) -> None:
    """A worker that the case examined first kills; for the first time when it has another one as well."""
    examine = Worker.examine
    mark = settings.archive / "deadly"

    def deadly(self: Worker, leased: LeasedCase) -> None:
        first = not mark.exists()
        if first:
            mark.write_text(leased.lease.key)
        if mark.read_text() == leased.lease.key:
            while first and len(self.ledger.leases()) < 2:
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGKILL)
        examine(self, leased)

    Worker.examine = deadly  # type: ignore[method-assign]  # in this process alone
    quietly(settings)
    work(connection, settings, lambda _stage: None)


def run_with(target: Target, source: Path, folder: Path, rules: str, **options: Any) -> ReprocessRecord:
    """`reprocess` into `folder / "archive"` under the rules of a site file, with another body of its workers."""
    (folder / "site.yaml").write_text(rules)
    bundle = make_bundle(folder / "made")
    return reprocess(source, folder / "archive", bundle=bundle, site=folder / "site.yaml", target=target, **options)


def test_a_worker_that_hangs_is_ended_and_its_case_is_done_by_another(source: Path, tmp_path: Path) -> None:
    rules = "limits: {case_seconds: 20, attempts: 100}\noutputs: {picture: false}"
    run = run_with(stop_once, source, tmp_path, rules)
    assert run.jobs["done"] == 3
    ledger = Ledger.of(tmp_path / "archive")
    assert {attempt["code"] for attempt in ledger.history() if attempt["outcome"] == "failed"} == {"TIME_OUT"}
    ledger.close()


def test_a_case_that_kills_its_workers_is_quarantined(source: Path, tmp_path: Path) -> None:
    run = run_with(die_on_every_case, source / "b", tmp_path, "limits: {attempts: 2}")
    assert [(refused.code, refused.reason) for refused in run.quarantined] == [
        ("WORKER_DIED", "the worker that had this case ended without a result")
    ]


def test_a_case_that_kills_its_workers_takes_no_other_with_it(source: Path, tmp_path: Path) -> None:
    run = run_with(die_on_one_case, source, tmp_path, "limits: {attempts: 1}\noutputs: {picture: false}", workers=1)
    assert (run.jobs["done"], [refused.code for refused in run.quarantined]) == (2, ["WORKER_DIED"])
    ledger = Ledger.of(tmp_path / "archive")
    attempts = [(attempt["outcome"], attempt["code"]) for attempt in ledger.history()]
    assert {row["attempts"] for row in ledger.rows()} == {1}
    ledger.close()
    died = "WORKER_DIED"
    assert sorted(attempts, key=str) == [("done", None)] * 2 + [("failed", died)] + [("given back", died)] * 2


def test_a_second_run_on_one_ledger_waits_for_the_first_ones_case(bench: Bench, source: Path) -> None:
    """Two workers on one ledger: each job is done by one of them."""
    tasks = bench.enter(source)
    first, second = bench.worker(), bench.worker()
    stages: list[str] = []

    def meanwhile(stage: str) -> None:
        if stage == "read":
            stages.append(str(second.run(tasks[0]).state))

    first.on_stage = meanwhile
    assert first.run(tasks[0]).state is State.DONE
    assert stages == ["None"]
    assert [attempt["outcome"] for attempt in bench.ledger.history()] == ["done"]
