"""Records say which file was bad and why, and name no folder, which may bear a patient's name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bright import head, write_nifti
from typer.testing import Result

from pipelines.record import CaseRecord

Run = Callable[..., Result]
CANARY = "DOE_JANE"


@pytest.mark.parametrize("source", [f"/data/{CANARY}/scan.nii", f"{CANARY}/scan.nii", f"../{CANARY}/scan.nii"])
@pytest.mark.parametrize("make", [CaseRecord.failed, CaseRecord.skipped])
def test_a_reason_names_the_file_and_not_its_folder(source: str, make: Callable[..., CaseRecord]) -> None:
    record = make("scan", source, code="NAN", reason=f"{source}: 3 voxels of {source} are not numbers")
    assert record.reason == "scan.nii: 3 voxels of scan.nii are not numbers"
    assert record.words == "scan: scan.nii: 3 voxels of scan.nii are not numbers [NAN]"


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Healthy heads, one of which is broken, in a folder that is named after a patient."""
    folder = tmp_path / CANARY
    for number in range(3):
        write_nifti(folder / f"scan{number}.nii.gz", head() + number)
    write_nifti(folder / "broken.nii.gz", np.full((8, 8, 4), np.nan, np.float32))
    return folder


def reasons(run: object) -> list[str]:
    """Every reason in a record, however deep."""
    if isinstance(run, dict):
        own = [run["reason"]] if isinstance(run.get("reason"), str) else []
        return own + [found for value in run.values() for found in reasons(value)]
    return [found for value in run for found in reasons(value)] if isinstance(run, list) else []


@pytest.mark.parametrize(
    "words",
    [("plant",), ("calibrate", "--bundle", "BUNDLE"), ("detect", "--bundle", "BUNDLE", "--no-report"), ("prepare",)],
    ids=lambda words: words[0],
)
def test_no_reason_of_a_command_holds_a_folder(
    healthytwin: Run, identity_bundle: Path, cohort: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    command, *options = [identity_bundle if word == "BUNDLE" else word for word in words]
    done = healthytwin(command, cohort, "-o", tmp_path / "out", *options, "--json")
    found = reasons(json.loads(done.stdout))
    assert found, done.stderr
    assert [reason for reason in found if CANARY in reason] == []


def test_no_reason_of_an_evaluation_holds_a_folder(
    healthytwin: Run, identity_bundle: Path, cohort: Path, tmp_path: Path
) -> None:
    write_nifti(cohort / "label.nii.gz", np.zeros((40, 48, 10), np.float32))
    names = ("broken.nii.gz", "gone.nii.gz", "scan0.nii.gz")
    entries = [{"image": f"{cohort / name}", "label": f"{cohort / 'label.nii.gz'}"} for name in names]
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "dataset.json").write_text(json.dumps({"test": entries}))
    done = healthytwin("evaluate", tmp_path / "list", "-o", tmp_path / "out", "--bundle", identity_bundle, "--json")
    found = reasons(json.loads(done.stdout)) + reasons(json.loads((tmp_path / "out" / "metrics.json").read_text()))
    assert len(found) >= 4, done.stderr
    assert [reason for reason in found if CANARY in reason] == []


def test_training_data_are_refused_without_a_folder(cohort: Path) -> None:
    from pipelines.cohort.healthy import gather

    (refused,) = gather(cohort).refused
    assert (refused.case, refused.code) == ("broken", "NAN")
    assert CANARY not in (refused.reason or "")
