"""The body of a Ray actor, without Ray; `tests/soak/test_ray.py` has the real thing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from archive import Bench

from pipelines.problems import CommandError
from pipelines.reprocess.crew import actors as ray_workers
from pipelines.reprocess.crew.actors import Actor
from pipelines.reprocess.crew.leased_case import Outcome
from pipelines.reprocess.crew.overlap import Overlap
from pipelines.reprocess.crew.settings import Settings
from pipelines.reprocess.ledger.identity import identity
from pipelines.reprocess.ledger.ledger import State


@pytest.fixture
def actor(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Actor:
    monkeypatch.setattr(ray_workers, "quietly", lambda _settings: None)  # this process is the test's own
    return Actor(Settings(archive=bench.archive, bundle=bench.root, site=bench.site))


def heard(actor: Actor, number: int) -> list[Outcome]:
    outcomes: list[Outcome] = []
    ends = time.monotonic() + 120
    while len(outcomes) < number and time.monotonic() < ends:
        outcomes += actor.hear()
    return outcomes


def test_tasks_go_in_and_outcomes_come_out(actor: Actor, bench: Bench, source: Path) -> None:
    assert actor.load() == identity()
    assert actor.hear() == []
    tasks = bench.enter(source)
    for task in tasks:
        actor.give(task)
    assert [outcome.key for outcome in heard(actor, 3)] == [task.job.key for task in tasks]
    assert {row["state"] for row in bench.ledger.rows()} == {"done"}
    actor.stop()
    actor.give(tasks[0])
    assert heard(actor, 1) == [Outcome(key=tasks[0].job.key, state=State.PENDING)]


def test_what_ends_its_work_is_told(actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: Overlap) -> None:
        raise CommandError("the ledger cannot be used")

    monkeypatch.setattr(Overlap, "run", run)
    actor.load()
    with pytest.raises(CommandError, match="ledger"):
        heard(actor, 1)
