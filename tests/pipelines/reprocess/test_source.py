"""A source that is gone, or fails, is no case's fault: attempts do not count, and the next run goes on."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archive import Bench, claimed, job

from data_prep import Case, InputError
from pipelines.problems import CommandError
from pipelines.reprocess.crew.leased_case import Life
from pipelines.reprocess.ledger.hashes import FileHashes
from pipelines.reprocess.ledger.ledger import Ledger, State
from pipelines.reprocess.ledger.reasons import is_final, remedy
from pipelines.reprocess.plan import Plan
from pipelines.reprocess.source import Root


def gone(source: Path) -> None:
    source.rename(source.with_name("away"))


def unmounted(source: Path) -> None:
    """A mount point is an empty folder."""
    gone(source)
    source.mkdir()


@pytest.mark.parametrize("vanish", [gone, unmounted])
def test_a_source_that_vanished_ends_the_run(bench: Bench, source: Path, vanish: Callable[[Path], None]) -> None:
    worker = bench.worker(source=Root.of(source))
    tasks = bench.enter(source)
    vanish(source)
    outcome = worker.run(tasks[0])
    assert (outcome.state, "source" in outcome.halt) == (State.PENDING, True)
    assert {(row["state"], row["attempts"], row["code"]) for row in bench.ledger.rows()} == {("pending", 0, None)}


def test_one_file_that_vanished_waits_for_the_next_run(bench: Bench, source: Path) -> None:
    worker = bench.worker(source=Root.of(source))
    tasks = bench.enter(source)
    (task,) = [task for task in tasks if task.case.image.endswith(".nii.gz")]
    Path(task.case.image).unlink()
    outcome = worker.run(task)
    assert (outcome.state, outcome.is_unread, outcome.halt) == (State.PENDING, True, "")
    assert [row["attempts"] for row in bench.ledger.rows()] == [0, 0, 0]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_an_io_error_waits_for_the_next_run(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def volume(case: Case, **_: Any) -> None:
        raise InputError(case.image, "NOT_AN_IMAGE", "is no image") from OSError(number, os.strerror(number))

    tasks = bench.enter(source)
    monkeypatch.setattr(Case, "volume", volume)
    outcome = bench.worker(source=Root.of(source)).run(tasks[0])
    assert (outcome.state, outcome.is_unread) == (State.PENDING, True)
    assert [row["attempts"] for row in bench.ledger.rows()] == [0, 0, 0]


def test_an_io_error_while_writing_is_the_target_s(bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (task, *_) = bench.enter(source)
    worker = bench.worker()
    monkeypatch.setattr(worker.store, "begin", begin)
    outcome = worker.run(task)
    assert outcome.state is State.PENDING
    assert "nothing can be written" in outcome.halt


def test_what_may_not_be_read_is_tried_again_after_the_rights_are_set(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def volume(case: Case, **_: Any) -> None:
        raise InputError(case.image, "UNREADABLE", "no") from PermissionError(errno.EACCES, "Permission denied")

    (task, *_) = bench.enter(source)
    monkeypatch.setattr(Case, "volume", volume)
    worker = bench.worker(source=Root.of(source))
    assert [worker.run(task).state for _ in range(3)] == [State.PENDING, State.PENDING, State.QUARANTINED]
    assert not is_final("UNREADABLE")


def test_planning_over_a_source_that_went_away_ends_it(bench: Bench, source: Path, ledger: Ledger) -> None:
    plan = bench.plan(source)
    root = Root.of(source)
    plan = Plan(source, model=plan.model, site=bench.site, hashes=FileHashes(ledger), root=root)
    plan.check_source()
    gone(source)
    with pytest.raises(CommandError, match="the source cannot be read any more"):
        plan.check_source()


def test_a_source_that_goes_while_it_is_looked_through_ends_the_run(
    bench: Bench, source: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = bench.plan(source)
    plan = Plan(source, model=plan.model, site=bench.site, hashes=FileHashes(ledger), root=Root.of(source))

    def gather(*_: Any, **__: Any) -> None:
        if source.exists() and plan.root is not None:
            gone(source)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "IM0006.dcm")

    monkeypatch.setattr("pipelines.detect.cases.gather_cases", gather)
    with pytest.raises(CommandError, match="the source cannot be read any more"):
        list(plan.tasks())
    plan.root = None
    with pytest.raises(CommandError, match="cannot be looked through: No such file"):
        list(plan.tasks())


def test_planning_enters_no_case_whose_disk_fails(bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = bench.plan(source)

    def files(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(plan.hashes, "files", files)
    tasks = list(plan.tasks())
    assert (len(tasks), plan.unread) == (2, 1)


def test_retry_and_remedy_say_the_same_of_every_reason() -> None:
    from data_prep.verdict import CODES
    from pipelines.reprocess.ledger.reasons import BATCH_CODES

    for code in (*CODES, *BATCH_CODES, "KeyError"):
        assert ("healthytwin retry" in remedy(code)) is not is_final(code), code
    assert not is_final("MISSING_FILE")


def test_a_lease_of_a_worker_that_hangs_gives_no_signs_of_life(ledger: Ledger) -> None:
    ledger.enter(job())
    lease = claimed(ledger)
    life = Life(ledger, lease, patience=0.2, is_moving=lambda: False)
    time.sleep(0.5)
    assert [held.beat for held in ledger.leases()] == [0]
    life.end()
