"""Ray actors give what local processes give, job by job, with an actor killed in the middle."""

from __future__ import annotations

import os
import signal
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pipelines.problems import CommandError
from pipelines.reprocess.ledger.ledger import Ledger, State
from pipelines.reprocess.run import ReprocessRecord, reprocess
from tests.soak.campaign import lay_out
from tests.soak.invariants import count

STUDIES = 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(tmp_path, STUDIES)
    return tmp_path


def results(archive: Path) -> dict[str, tuple[object, ...]]:
    ledger = Ledger.of(archive)
    found = {row["key"]: (row["score"], row["lesions"], row["volume_ml"]) for row in ledger.rows(State.DONE)}
    ledger.close()
    return found


def run_on_ray(folder: Path, **told: Any) -> ReprocessRecord:
    """Like `reprocess`; Ray gives its own processes 15 seconds to start, which a busy machine may not have at once."""
    for is_last in (False, False, True):
        try:
            return reprocess(folder / "source", folder / "archive", **told, engine="ray")
        except CommandError as error:
            if is_last or "Ray cannot be started" not in str(error):
                raise
    raise AssertionError


class Killer(threading.Thread):
    """Kills a process that has a lease, once some jobs are done: stopped first, so that it has it still."""

    def __init__(self, archive: Path) -> None:
        super().__init__(daemon=True)
        self.archive, self.killed, self.over = archive, 0, False

    def run(self) -> None:
        while not self.over and not (self.archive / "ledger.sqlite").is_file():
            time.sleep(0.1)
        ledger = Ledger.of(self.archive)
        while not self.over and not self.killed:
            for lease in ledger.leases() if ledger.counts()["done"] >= 2 else ():
                pid = int(lease.owner.split(":")[2])
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.05)
                held = (lease.key, lease.token) in {(now.key, now.token) for now in ledger.leases()}
                os.kill(pid, signal.SIGKILL if held else signal.SIGCONT)
                if held:
                    self.killed = pid
                    break
            time.sleep(0.01)
        ledger.close()


def test_a_killed_actor_changes_nothing(folder: Path) -> None:
    if find_spec("ray") is None:  # imported by the run itself, which tells it first to stay on loopback
        pytest.skip("the extra [ray] is not installed: Ray was NOT tested")
    told = {"bundle": folder / "bundle", "site": folder / "site.yaml", "workers": 2}
    local = reprocess(folder / "source", folder / "local", **told)
    killer = Killer(folder / "archive")
    killer.start()
    run = run_on_ray(folder, **told)
    killer.over = True
    killer.join()
    assert killer.killed
    assert (local.examined, run.examined) == (STUDIES, STUDIES)
    assert results(folder / "archive") == results(folder / "local")
    found = count(folder / "archive", STUDIES)
    assert (found.done, found.lost, found.twice, found.partial, found.leftovers) == (STUDIES, 0, 0, 0, 0)
    ledger = Ledger.of(folder / "archive")
    codes = {attempt["code"] for attempt in ledger.history() if attempt["outcome"] != "done"}
    ledger.close()
    assert codes == {"WORKER_DIED"}


def test_without_ray_it_is_told_what_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(CommandError, match=r"healthytwin\[ray\]"):
        reprocess(folder / "source", folder / "archive", bundle=folder / "bundle", engine="ray")
