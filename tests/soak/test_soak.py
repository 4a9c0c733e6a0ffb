"""The short form of the soak: a kill at the end of every stage, and one of the coordinator."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import pytest

from pipelines.reprocess.crew.worker import STAGES
from tests.soak.campaign import Coordinator, cases, lay_out
from tests.soak.invariants import count

STUDIES = 12
CLEAN = {"lost": 0, "twice": 0, "partial": 0, "leftovers": 0, "doubled": 0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(tmp_path, STUDIES)
    return tmp_path


def test_kills_lose_nothing_and_double_nothing(folder: Path) -> None:
    run = Coordinator(folder, target="die_once_at_every_stage")
    while cases(folder) < 3 and run.process.poll() is None:
        time.sleep(0.02)
    assert run.process.poll() is None, (folder / "coordinator.log").read_text()
    run.kill()
    again = Coordinator(folder, target="die_once_at_every_stage")
    assert again.process.wait() == 0, (folder / "coordinator.log").read_text()
    assert {path.name for path in (folder / "kills").iterdir()} == {f"stage {stage}" for stage in STAGES}
    found = asdict(count(folder / "archive", STUDIES))
    assert {name: found[name] for name in CLEAN} == CLEAN
    assert found["done"] == STUDIES
    assert found["attempts"] >= STUDIES + len(STAGES) - 2  # "published" and "committed" may leave a result behind
