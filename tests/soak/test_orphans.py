"""A worker that hangs and whose coordinator is gone ends by itself; a source that vanishes is no case's fault."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.problems import ExitCode
from pipelines.reprocess.ledger.ledger import Ledger
from tests.soak.campaign import Coordinator, cases, lay_out, vanish
from tests.soak.invariants import count

STUDIES = 6
LEASE = 5.0  # seconds, of `campaign.SITE`
LONG = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(tmp_path, STUDIES)
    return tmp_path


def test_a_hanging_worker_ends_after_its_coordinator_and_the_next_run_goes_on(folder: Path) -> None:
    run = Coordinator(folder, target="hang_once", workers=1)
    while not (folder / "kills" / "stage hang").exists():
        assert run.process.poll() is None, (folder / "coordinator.log").read_text()
        time.sleep(0.05)
    (worker,) = run.processes()
    run.kill()
    started = time.monotonic()
    while Path(f"/proc/{worker}").exists() and time.monotonic() - started < LONG:
        time.sleep(0.1)
    assert not Path(f"/proc/{worker}").exists(), "an orphan that hangs holds its cases for ever"
    again = Coordinator(folder, target="hang_once", workers=1)
    assert again.process.wait(10 * LONG) == 0, (folder / "coordinator.log").read_text()
    found = count(folder / "archive", STUDIES)
    assert (found.done, found.lost, found.twice, found.partial, found.leftovers) == (STUDIES, 0, 0, 0, 0)
    ledger = Ledger.of(folder / "archive")
    assert {row["attempts"] for row in ledger.rows()} == {1}, "an orphan's case is not blamed"
    ledger.close()


def test_a_source_that_vanishes_ends_the_run_and_blames_nobody(folder: Path) -> None:
    run = Coordinator(folder, target="serve_slowly", workers=1)
    while not cases(folder):
        assert run.process.poll() is None, (folder / "coordinator.log").read_text()
        time.sleep(0.02)
    assert vanish(folder / "source", run), (folder / "coordinator.log").read_text()
    assert "the source cannot be read any more" in (folder / "coordinator.log").read_text()
    ledger = Ledger.of(folder / "archive")
    states = {(row["state"], row["attempts"]) for row in ledger.rows()}
    ledger.close()
    assert states <= {("done", 1), ("pending", 0)}
    again = Coordinator(folder, target="serve_slowly", workers=1)
    assert again.process.wait(10 * LONG) == ExitCode.DONE, (folder / "coordinator.log").read_text()
    assert count(folder / "archive", STUDIES).done == STUDIES


def test_the_alarm_ends_a_process_that_hangs_in_a_library_s_code() -> None:
    code = (
        "import ctypes\n"
        "from pipelines.reprocess.crew.process import Watch\n"
        "from pipelines.reprocess.site import Limits\n"
        "Watch(Limits(case_seconds=1, lease_seconds=1)).begin()\n"
        "ctypes.PyDLL(None).sleep(1000)\n"  # keeps Python's lock: no thread of Python runs
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], timeout=LONG, check=False)
    assert done.returncode == -14  # SIGALRM
    assert time.monotonic() - started < LONG


def test_an_idle_worker_has_no_alarm() -> None:
    code = (
        "import signal\n"
        "from pipelines.reprocess.crew.process import Watch\n"
        "from pipelines.reprocess.site import Limits\n"
        "watch = Watch(Limits())\n"
        "for step in (watch.begin, watch.begin, watch.moved, watch.ended):\n"
        "    step()\n"
        "assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 3720\n"
        "watch.ended()\n"
        "assert signal.getitimer(signal.ITIMER_REAL)[0] == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=LONG, check=True)
