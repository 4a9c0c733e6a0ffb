"""Drift in the batch's summary, in `status` and on its page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from archive import Bench
from bright import BrightIsAbnormal, head, write_nifti
from typer.testing import Result

from anomaly.scoring import Calibration
from pipelines.problems import CommandError
from pipelines.reprocess.archive.drift import drift, keep, kept

Run = Callable[..., Result]


def cohort(folder: Path, number: int, *, noise: float, seed: int, lesions: bool = False) -> Path:
    rng = np.random.default_rng(seed)
    for index in range(number):
        array = head(lesion=lesions)
        array += rng.normal(0, noise * rng.uniform(0.8, 1.2), array.shape) * (array > 0)
        write_nifti(folder / f"{index}.nii.gz", np.clip(array, 0, None).astype(np.float32))
    return folder


@pytest.fixture
def calibrated(healthytwin: Run, identity_bundle: Path, tmp_path: Path) -> tuple[object, ...]:
    """Options for `reprocess` with a calibration on twelve healthy heads."""
    healthy = cohort(tmp_path / "healthy", 12, noise=3, seed=0)
    done = healthytwin("calibrate", healthy, "-o", tmp_path / "site.json", "--bundle", identity_bundle)
    assert done.exit_code == 0
    return ("--bundle", identity_bundle, "--calibration", tmp_path / "site.json")


def test_scans_of_another_scanner_are_told_and_those_of_the_same_are_not(
    healthytwin: Run, calibrated: tuple[object, ...], tmp_path: Path
) -> None:
    for name, noise in (("same", 3.0), ("other", 8.0)):
        source = cohort(tmp_path / name, 12, noise=noise, seed=1)
        run = healthytwin("reprocess", source, "-o", tmp_path / f"{name}-archive", *calibrated)
        status = healthytwin("status", tmp_path / f"{name}-archive")
        told = json.loads(healthytwin("status", tmp_path / f"{name}-archive", "--json").stdout)["drift"]
        assert run.exit_code == 0
        assert [shift["name"] for shift in told["shifts"]] == ["score", "dark", "bright", "noise"]
        noisy = next(shift for shift in told["shifts"] if shift["name"] == "noise")
        assert (noisy["moved"], bool(told["warnings"])) == (name == "other", name == "other")
        for output in (run.output, status.output):
            assert ("WARNING: the scans look unlike" in output) == (name == "other")


def rows(scores: list[float], appearance: dict[str, list[float]] | None = None) -> list[dict[str, object]]:
    looks = [{name: values[index] for name, values in (appearance or {}).items()} for index in range(len(scores))]
    return [{"score": one, "appearance": look, "configuration": "c"} for one, look in zip(scores, looks, strict=True)]


def test_higher_scores_of_scans_that_look_alike_are_no_warning() -> None:
    noise = list(np.linspace(1, 2, 20))
    calibration = BrightIsAbnormal.calibration.model_copy(update={"appearance": {"noise": noise}})
    high, low = [0.9] * 20, [0.1] * 20
    alike = drift(calibration, rows(high, {"noise": noise}), "c")
    assert (alike.warnings, [note.startswith("the scans score higher") for note in alike.notes]) == ([], [True])
    assert "score lower" in drift(calibration, rows(low, {"noise": noise}), "c").warnings[0]
    bare: Calibration = BrightIsAbnormal.calibration
    told = drift(bare, rows(high), "c")
    assert "many are abnormal, or" in told.warnings[0]
    assert "knows only scores" in told.notes[0]
    assert "too few to tell" in drift(bare, rows([0.9]), "c").notes[0]
    assert drift(bare, rows(high), "another").shifts == []


def test_the_calibration_is_kept_with_the_archive(bench: Bench, tmp_path: Path) -> None:
    model = bench.plan(tmp_path).model
    keep(bench.archive, model)
    assert kept(bench.archive, model.configuration) == model.calibration
    assert kept(bench.archive, "another") is None
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CommandError, match="cannot be written"):
        keep(tmp_path / "file", model)
