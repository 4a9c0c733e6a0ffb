"""The documented Slurm array: its command in two processes at once does every study once."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from pipelines.reprocess.ledger.ledger import Ledger
from tests.soak.campaign import lay_out
from tests.soak.invariants import count

ROOT = Path(__file__).resolve().parents[2]
STUDIES = 40


def array_command() -> list[str]:
    """The words of the array's command after the program's name, as the page has them."""
    page = (ROOT / "docs" / "how-to" / "slurm.md").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith("healthytwin reprocess")]
    return shlex.split(line)[1:]


def test_two_tasks_of_the_array_share_the_work(tmp_path: Path) -> None:
    lay_out(tmp_path, STUDIES)
    words = [str(tmp_path / "source") if word == "/mnt/archive" else word for word in array_command()]
    command = [sys.executable, "-c", "from pipelines.cli.app import main; main()", *words, "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HEALTHYTWIN_BUNDLE": str(tmp_path / "bundle")}
    tasks = [subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE) for _ in range(2)]
    told = [json.loads(task.communicate()[0]) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0]
    assert [run["jobs"]["done"] for run in told] == [STUDIES, STUDIES]
    found = count(tmp_path / "results", STUDIES)
    assert (found.done, found.lost, found.twice, found.partial, found.leftovers) == (STUDIES, 0, 0, 0, 0)
    ledger = Ledger.of(tmp_path / "results")
    owners = {attempt["owner"] for attempt in ledger.history()}
    ledger.close()
    assert len(owners) == 2
