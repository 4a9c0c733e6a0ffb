"""One corrupt study in a hundred: the others are done, it is quarantined with its reason, the exit code is 3."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from pipelines.cli.app import app
from tests.soak.campaign import lay_out
from tests.soak.invariants import count

STUDIES = 100


def test_one_corrupt_study_in_a_hundred(tmp_path: Path) -> None:
    lay_out(tmp_path, STUDIES)
    damaged = min((tmp_path / "source" / "s50").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-100])
    words = ("reprocess", tmp_path / "source", "-o", tmp_path / "archive", "--bundle", tmp_path / "bundle")
    run = CliRunner().invoke(app, [*map(str, words), "--site", str(tmp_path / "site.yaml"), "--workers", "1", "--json"])
    told = json.loads(run.stdout)
    assert run.exit_code == 3
    assert {state: number for state, number in told["jobs"].items() if number} == {"done": 99, "quarantined": 1}
    (refused,) = told["quarantined"]
    assert (refused["code"], refused["reason"]) == ("TRUNCATED", "a file ends too early or is damaged")
    found = count(tmp_path / "archive", STUDIES - 1)
    assert (found.done, found.lost, found.twice, found.partial, found.leftovers) == (99, 0, 0, 0, 0)
    page = (tmp_path / "archive" / "report.html").read_text()
    assert '<a href="#to-do">Needs a person</a></dt><dd>1</dd>' in page
    assert "1 case: a file ends too early or is damaged" in page
