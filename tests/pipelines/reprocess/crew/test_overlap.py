"""Reading, examining and writing at once: what overlaps, what bounds it, and what is left when it stops."""

from __future__ import annotations

import errno
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archive import Bench
from bright import BrightIsAbnormal, head, write_nifti

from pipelines.problems import CommandError
from pipelines.reprocess.crew.leased_case import Outcome
from pipelines.reprocess.crew.overlap import IN_WORK, Overlap
from pipelines.reprocess.crew.worker import Worker
from pipelines.reprocess.ledger.ledger import State
from pipelines.reprocess.plan import Task
from pipelines.reprocess.site import Site

PATIENCE = 60.0  # seconds; only a test that fails waits for so long


class Slow(BrightIsAbnormal):
    """Calls `before` with the number of the case, from 0, when its examination begins."""

    def __init__(self, before: Callable[[int], None]) -> None:
        self.before, self.begun = before, 0

    def examine(self, volume: Any, *, case: str = "") -> Any:
        number, self.begun = self.begun, self.begun + 1
        self.before(number)
        return super().examine(volume, case=case)


class Stages:
    """How often every stage has ended, to wait for."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.changed = threading.Condition()

    def __call__(self, stage: str) -> None:
        with self.changed:
            self.counts[stage] = self.counts.get(stage, 0) + 1
            self.changed.notify_all()

    def wait(self, stage: str, times: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.counts.get(stage, 0) >= times, PATIENCE), (stage, self.counts)


@pytest.fixture
def stages() -> Stages:
    return Stages()


@pytest.fixture
def tasks(bench: Bench, tmp_path: Path) -> list[Task]:
    """Six NIfTI volumes, each different."""
    for number in range(6):
        array = head(lesion=True)
        array[0, 0, 0] = number
        write_nifti(tmp_path / "many" / f"{number}.nii.gz", array)
    return bench.enter(tmp_path / "many")


def overlap_of(worker: Worker, tasks: list[Task]) -> tuple[Overlap, list[Outcome]]:
    """An `Overlap` that stops by itself when as many tasks were told of as it was given."""
    outcomes: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if len(outcomes) == len(tasks):
            overlap.stop()

    overlap = Overlap(worker, tell)
    for task in tasks:
        overlap.give(task)
    return overlap, outcomes


def test_the_next_case_is_read_and_the_last_one_written_while_one_is_examined(
    bench: Bench, tasks: list[Task], stages: Stages
) -> None:
    def before(number: int) -> None:
        stages.wait("read", min(number + 2, len(tasks)))
        stages.wait("committed", number)

    overlap, outcomes = overlap_of(bench.worker(Slow(before), stages), tasks)
    overlap.run()
    assert [outcome.key for outcome in outcomes] == [task.job.key for task in tasks]
    assert {outcome.state for outcome in outcomes} == {State.DONE}
    assert [row["attempts"] for row in bench.ledger.rows()] == [1] * len(tasks)


@pytest.mark.parametrize("slow", ["read", "examined", "written"])
def test_never_are_more_than_three_volumes_in_memory(
    bench: Bench, tasks: list[Task], monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    volumes: list[weakref.ref[Any]] = []
    most: list[int] = []
    read = Worker._volume

    def counted(worker: Worker, task: Task) -> Any:
        volume = read(worker, task)
        volumes.append(weakref.ref(volume))
        most.append(sum(known() is not None for known in volumes))
        return volume

    monkeypatch.setattr(Worker, "_volume", counted)
    worker = bench.worker(on_stage=lambda stage: time.sleep(0.1) if stage == slow else None)
    overlap, outcomes = overlap_of(worker, tasks)
    overlap.run()
    assert {outcome.state for outcome in outcomes} == {State.DONE}
    assert len(volumes) == len(tasks)
    assert 1 < max(most) <= IN_WORK


def test_a_case_that_waits_gives_signs_of_life(bench: Bench, tasks: list[Task], stages: Stages) -> None:
    bench.site = Site.model_validate({"limits": {"lease_seconds": 1}})
    seen: list[list[int]] = []

    def before(number: int) -> None:
        if number == 0:
            stages.wait("read", 2)
            ends = time.monotonic() + PATIENCE
            while min(beats := [lease.beat for lease in bench.ledger.leases()]) < 2 and time.monotonic() < ends:
                time.sleep(0.02)
            seen.append(beats)

    overlap, _ = overlap_of(bench.worker(Slow(before), stages), tasks[:2])
    overlap.run()
    assert len(seen[0]) == 2
    assert min(seen[0]) >= 2


def test_what_was_read_ahead_is_given_back_when_it_stops(bench: Bench, tasks: list[Task], stages: Stages) -> None:
    def before(_: int) -> None:
        stages.wait("read", 2)
        overlap.stop()

    overlap, outcomes = overlap_of(bench.worker(Slow(before), stages), tasks)
    overlap.run()
    states = {outcome.key: outcome.state for outcome in outcomes}
    assert [states[task.job.key] for task in tasks] == [State.DONE, *[State.PENDING] * 5]
    assert bench.ledger.leases() == []
    assert sorted(attempt["outcome"] for attempt in bench.ledger.history()) == ["done", "given back"]
    assert {row["attempts"] for row in bench.ledger.rows(State.PENDING)} == {0}
    overlap.give(tasks[5])  # as the coordinator may, before it hears of the end
    assert outcomes[-1] == Outcome(key=tasks[5].job.key, state=State.PENDING)


def test_a_full_disk_ends_it_and_every_lease(bench: Bench, tasks: list[Task]) -> None:
    def on_stage(stage: str) -> None:
        if stage == "written":
            raise OSError(errno.ENOSPC, "No space left on device")

    overlap, outcomes = overlap_of(bench.worker(on_stage=on_stage), tasks)
    overlap.run()
    assert {outcome.state for outcome in outcomes} == {State.PENDING}
    assert "nothing can be written: No space left on device" in {outcome.halt for outcome in outcomes}
    assert sorted(outcome.key for outcome in outcomes) == sorted(task.job.key for task in tasks)
    assert bench.ledger.leases() == []
    assert {row["attempts"] for row in bench.ledger.rows()} == {0}
    assert list((bench.archive / ".partial").iterdir()) == []


def test_a_volume_that_cannot_be_read_stays_alone(bench: Bench, tasks: list[Task]) -> None:
    Path(tasks[2].case.image).write_bytes(b"no image any more")
    overlap, outcomes = overlap_of(bench.worker(), tasks)
    overlap.run()
    states = {outcome.key: outcome.state for outcome in outcomes}
    assert states.pop(tasks[2].job.key) is State.QUARANTINED
    assert list(states.values()) == [State.DONE] * 5


@pytest.mark.parametrize("verb", ["claim", "finish"])
def test_a_ledger_that_cannot_be_used_ends_it(
    bench: Bench, tasks: list[Task], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def refuse(*_: Any) -> None:
        raise CommandError("the ledger cannot be used")

    monkeypatch.setattr(bench.ledger, verb, refuse)
    overlap, outcomes = overlap_of(bench.worker(), tasks)
    with pytest.raises(CommandError, match="ledger"):
        overlap.run()
    assert State.DONE not in {outcome.state for outcome in outcomes}
