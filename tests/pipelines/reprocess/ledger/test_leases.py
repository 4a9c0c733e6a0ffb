"""When a lease is over: by silence on one's own clock, or because its process is known to be gone."""

from __future__ import annotations

import subprocess
import sys

import pytest
from archive import Clock, claimed, job, state

from pipelines.reprocess.ledger.identity import identity, is_dead
from pipelines.reprocess.ledger.leases import LeaseWatch, is_suspect
from pipelines.reprocess.ledger.ledger import Ledger, State

ELSEWHERE = "another-boot:1:1:1"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(ledger: Ledger, clock: Clock) -> LeaseWatch:
    ledger.one_machine = False
    return LeaseWatch(ledger, patience=10, most=3, clock=clock)


def test_a_silent_lease_is_taken_over_after_its_time(ledger: Ledger, watch: LeaseWatch, clock: Clock) -> None:
    ledger.enter(job())
    claimed(ledger, owner=ELSEWHERE)
    assert watch.take_over() == []
    clock.now += 9
    assert watch.take_over() == []
    clock.now += 2
    assert watch.take_over() == [job().key]
    assert state(ledger) is State.PENDING
    assert ledger.rows()[0]["code"] == "WORKER_DIED"


def test_signs_of_life_keep_a_lease(ledger: Ledger, watch: LeaseWatch, clock: Clock) -> None:
    ledger.enter(job())
    lease = claimed(ledger, owner=ELSEWHERE)
    for _ in range(5):
        assert watch.take_over() == []
        clock.now += 9
        assert ledger.beat(lease)
    assert watch.take_over() == []


def test_the_wall_clock_decides_nothing(
    ledger: Ledger, watch: LeaseWatch, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.reprocess.ledger import ledger as module

    monkeypatch.setattr(module, "now", lambda: "2099-01-01T00:00:00+00:00")
    ledger.enter(job())
    claimed(ledger, owner=ELSEWHERE)
    monkeypatch.setattr(module, "now", lambda: "1970-01-01T00:00:00+00:00")  # the clock is set back
    assert watch.take_over() == []
    clock.now += 11
    assert watch.take_over() == [job().key]
    lease = claimed(ledger)
    ledger.finish(lease, {}, lambda: None)
    assert state(ledger) is State.DONE


def test_a_dead_process_of_this_machine_is_not_waited_for(ledger: Ledger, watch: LeaseWatch) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = identity(child.pid)
    ledger.enter(job())
    claimed(ledger, owner=owner)
    assert watch.take_over() == []
    child.kill()
    while not is_dead(owner, one_machine=False):
        pass  # a zombie counts as dead: nobody has waited for the child yet
    assert watch.take_over() == [job().key]
    child.communicate()
    assert is_dead(owner, one_machine=False)


def test_who_is_dead() -> None:
    boot, namespace, pid, began = identity().split(":")
    assert not is_dead(identity(), one_machine=True)
    assert is_dead(f"{boot}:{namespace}:{pid}:{began}1", one_machine=False)  # the number was given to another process
    assert not is_dead(f"{boot}:{namespace}9:{pid}:1", one_machine=False)  # in another container: not to be known
    assert not is_dead(ELSEWHERE, one_machine=False)
    assert is_dead(ELSEWHERE, one_machine=True)  # from before this machine started


def test_several_cases_of_a_dead_worker_are_not_blamed_and_done_alone_from_then_on(
    ledger: Ledger, watch: LeaseWatch, clock: Clock
) -> None:
    for key in "ab":
        ledger.enter(job(key))
        claimed(ledger, key, owner=ELSEWHERE)
    assert watch.take_over() == []
    clock.now += 11
    assert sorted(watch.take_over()) == [job("a").key, job("b").key]
    assert [(row["state"], row["attempts"]) for row in ledger.rows()] == [("pending", 0)] * 2
    assert is_suspect(ledger, job("a").key)
    claimed(ledger, "a", owner=ELSEWHERE)  # alone: now it is its own fault
    assert watch.take_over() == []
    clock.now += 11
    assert watch.take_over() == [job("a").key]
    assert [(row["attempts"], row["code"]) for row in ledger.rows()] == [(1, "WORKER_DIED"), (0, None)]


def test_a_worker_is_over_when_all_of_its_cases_are_silent(ledger: Ledger, watch: LeaseWatch, clock: Clock) -> None:
    leases = []
    for key in "ab":
        ledger.enter(job(key))
        leases.append(claimed(ledger, key, owner=ELSEWHERE))
    assert watch.take_over() == []
    clock.now += 9
    assert ledger.beat(leases[1])
    assert watch.take_over() == []
    clock.now += 9
    assert watch.take_over() == []
    clock.now += 2
    assert len(watch.take_over()) == 2


def test_who_is_suspect(ledger: Ledger) -> None:
    ledger.enter(job())
    assert not is_suspect(ledger, job().key)
    ledger.fail(claimed(ledger), code="KeyError", reason="", most=3)
    ledger.give_back(claimed(ledger), code="STOPPED")
    assert not is_suspect(ledger, job().key)
    ledger.fail(claimed(ledger), code="MemoryError", reason="", most=3)
    assert is_suspect(ledger, job().key)
