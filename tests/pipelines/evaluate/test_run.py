"""`healthytwin evaluate` and `detect` through the shipped configs, around a network that gives back its input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from bright import head, write_nifti
from dicom_maker import write_series
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    """Two labelled heads, one with a lesion."""
    entries = []
    for name, lesion in (("ill", True), ("well", False)):
        volume = head(lesion=lesion)
        write_nifti(tmp_path / "cohort" / f"{name}.nii.gz", volume)
        write_nifti(tmp_path / "cohort" / f"{name}_label.nii.gz", (volume > 100).astype(np.uint8))
        entries.append({"image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"})
    path = tmp_path / "cohort" / "dataset.json"
    path.write_text(json.dumps({"test": entries, "validation": []}))
    return path


def test_metrics_findings_and_report(healthytwin: Run, identity_bundle: Path, datalist: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = healthytwin("evaluate", datalist, "-o", out, "--bundle", identity_bundle, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["metrics"] == json.loads((out / "metrics.json").read_text())
    assert told["metrics"]["voxel_ap"] > 0.9
    ill, well = told["cases"]
    assert ill["truth"]["dice"] > 0.9
    assert ill["truth"]["lesions"][0]["outcome"] == "outlined"
    assert well["truth"]["dice"] is None
    assert all((out / name).is_file() for name in ill["outputs"].values())
    html = (out / "report.html").read_text()
    assert "Voxel AP" in html
    assert "Truly healthy" in html


def test_metrics_are_printed_with_their_meaning(
    healthytwin: Run, identity_bundle: Path, datalist: Path, tmp_path: Path
) -> None:
    done = healthytwin("evaluate", datalist.parent, "-o", tmp_path / "out", "--bundle", identity_bundle, "--no-report")
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    assert "Voxel AP" in words
    assert "Best Dice" in words
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_case_that_cannot_be_read_is_listed(
    healthytwin: Run, identity_bundle: Path, datalist: Path, tmp_path: Path
) -> None:
    write_nifti(datalist.parent / "bad.nii.gz", np.full((8, 8, 4), np.nan, np.float32))
    content = json.loads(datalist.read_text())
    content["test"].insert(1, {"image": "bad.nii.gz"})
    datalist.write_text(json.dumps(content))
    done = healthytwin("evaluate", datalist, "-o", tmp_path / "out", "--bundle", identity_bundle, "--json")
    assert done.exit_code == 3
    cases = json.loads(done.stdout)["cases"]
    assert [(case["case"], case["status"], case["code"]) for case in cases] == [
        ("ill", "done", None),
        ("bad", "failed", "NAN"),
        ("well", "done", None),
    ]


@pytest.mark.parametrize(("section", "code"), [("validation", 4), ("no-such", 2)])
def test_sections_that_give_nothing(
    healthytwin: Run, identity_bundle: Path, datalist: Path, tmp_path: Path, section: str, code: int
) -> None:
    arguments = ("evaluate", datalist, "-o", tmp_path / "out", "--bundle", identity_bundle, "--section", section)
    assert healthytwin(*arguments).exit_code == code


def test_a_missing_datalist(healthytwin: Run, identity_bundle: Path, tmp_path: Path) -> None:
    done = healthytwin("evaluate", tmp_path / "gone.json", "-o", tmp_path / "out", "--bundle", identity_bundle)
    assert done.exit_code == 2
    assert "gone.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bundle_without_weights(healthytwin: Run, shipped_configs: Path, datalist: Path, tmp_path: Path) -> None:
    done = healthytwin("evaluate", datalist, "-o", tmp_path / "out", "--bundle", shipped_configs)
    assert done.exit_code == 2
    assert "model.pt" in done.stderr


@pytest.mark.parametrize("command", ["evaluate", "benchmark"])
def test_scans_without_labels_are_refused_before_any_work(
    healthytwin: Run, datalist: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = json.loads(datalist.read_text())
    content["test"] = [{"image": entry["image"]} for entry in content["test"]]
    datalist.write_text(json.dumps(content))
    monkeypatch.setattr("data_prep.volume.Volume.__init__", lambda *_, **__: pytest.fail("a scan was read"))
    done = healthytwin(command, datalist, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert "no case of the section 'test' has a label" in done.stderr
    assert not (tmp_path / "out").exists()


def test_detect_finds_the_same(healthytwin: Run, identity_bundle: Path, datalist: Path, tmp_path: Path) -> None:
    for command in ("evaluate", "detect"):
        done = healthytwin(command, datalist, "-o", tmp_path / command, "--bundle", identity_bundle, "--no-report")
        assert done.exit_code == 0, done.output
    findings = [json.loads((tmp_path / command / "ill.json").read_text()) for command in ("evaluate", "detect")]
    assert findings[0]["score"] == pytest.approx(findings[1]["score"], abs=1e-5)
    assert len(findings[0]["lesions"]) == len(findings[1]["lesions"]) == 1
    assert findings[0]["lesions"] == findings[1]["lesions"]
    for kind in ("mask", "score"):
        one, other = (nib.load(tmp_path / command / f"ill_{kind}.nii.gz") for command in ("evaluate", "detect"))
        np.testing.assert_array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj))


def test_what_is_not_for_us_is_skipped(healthytwin: Run, identity_bundle: Path, datalist: Path, tmp_path: Path) -> None:
    """A localizer in the datalist is no failure: it is neither measured nor held against the run."""

    def scout(_: int, dataset: Any) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    write_series(datalist.parent / "localizer", slices=3, change=scout)
    content = json.loads(datalist.read_text())
    content["test"].append({"image": "localizer"})
    datalist.write_text(json.dumps(content))
    done = healthytwin("evaluate", datalist, "-o", tmp_path / "out", "--bundle", identity_bundle, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [case["status"] for case in told["cases"]] == ["done", "done", "skipped"]
    assert told["metrics"]["cases"] == 2
