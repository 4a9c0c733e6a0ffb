"""`healthytwin demo`: what it says of planted lesions, found or not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from bright import head, write_nifti
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def small_cohort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of the real demo cohort: a lesion that is seen, one that is not, a healthy head."""

    def make_cohort(folder: Path, *, seed: int = 0) -> Path:
        entries = []
        for name, visible, truth in (("unseen", False, True), ("seen", True, True), ("healthy", False, False)):
            write_nifti(folder / f"{name}.nii.gz", head(lesion=visible))
            label = (head(lesion=truth) > 100).astype(np.uint8)
            write_nifti(folder / f"{name}_label.nii.gz", label)
            entries.append({"image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"})
        path = folder / "dataset.json"
        path.write_text(json.dumps({"seed": seed, "test": entries}))
        return path

    module = ModuleType("data_prep.demo")
    module.make_cohort = make_cohort  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "data_prep.demo", module)


@pytest.mark.usefixtures("fake_bundle", "small_cohort")
def test_found_and_missed_lesions_are_told(healthytwin: Run, tmp_path: Path) -> None:
    done = healthytwin("demo", "-o", tmp_path / "demo")
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["seen", "9.6", "ml", "outlined", "100", "%", "1.00"] in lines
    assert ["unseen", "9.6", "ml", "missed", "0", "%", "0.00"] in lines
    assert ["healthy", "none", "(healthy)", "nothing", "outlined"] in lines
    report, _, *last = done.stdout.rstrip().splitlines()[-4:]
    assert report.endswith(str(tmp_path / "demo" / "report.html"))
    assert last == [
        "1 of 2 planted lesions found, no false alarm in 1 healthy head.",
        "Next, examine your own scans: healthytwin detect my-study -o out",
    ]
    html = (tmp_path / "demo" / "report.html").read_text()
    assert "9.6 ml missed" in html
    assert "9.6 ml outlined" in html


@pytest.mark.usefixtures("fake_bundle", "small_cohort")
def test_json_holds_every_planted_lesion_and_the_seed_is_passed(healthytwin: Run, tmp_path: Path) -> None:
    done = healthytwin("demo", "-o", tmp_path / "demo", "--json", "--seed", "7")
    outcomes = {
        case["case"]: [lesion["outcome"] for lesion in case["truth"]["lesions"]]
        for case in json.loads(done.stdout)["cases"]
    }
    assert next(iter(outcomes)) == "seen", "the report opens with a case that was outlined"
    assert outcomes == {"seen": ["outlined"], "unseen": ["missed"], "healthy": []}
    assert json.loads((tmp_path / "demo" / "cohort" / "dataset.json").read_text())["seed"] == 7


@pytest.mark.usefixtures("fake_bundle", "small_cohort")
@pytest.mark.parametrize("code", [0, 1])
def test_open_shows_the_report_in_a_browser_or_says_that_it_cannot(
    healthytwin: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    opened: list[str] = []

    def launch(url: str) -> int:
        opened.append(url)
        return code

    monkeypatch.setattr("typer.launch", launch)
    done = healthytwin("demo", "-o", tmp_path / "demo", "--open")
    assert done.exit_code == 0
    assert opened == [(tmp_path / "demo" / "report.html").as_uri()]
    assert ("No browser could be started" in done.stderr) == bool(code)
