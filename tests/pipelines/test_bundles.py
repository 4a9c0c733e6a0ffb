"""Which bundle is run, and what a bundle that does not hold together says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from anomaly.scoring.calibration import Calibration
from pipelines.bundles import find_bundle
from pipelines.problems import CommandError

Run = Callable[..., Result]


def test_option_before_variable_before_default(
    fake_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(fake_bundle, tmp_path / "other")
    assert find_bundle(other) == other
    assert find_bundle() == fake_bundle
    monkeypatch.delenv("HEALTHYTWIN_BUNDLE")
    assert find_bundle() == Path(__file__).parents[2] / "bundles" / "brain_flair_healthy_twin"


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"gone: not a bundle \(--bundle\): there is no such folder"):
        find_bundle(tmp_path / "gone")
    with pytest.raises(CommandError, match=r"no configs/metadata.json"):
        find_bundle(tmp_path)


def test_missing_weights(healthytwin: Run, shipped_configs: Path, scans: Path, tmp_path: Path) -> None:
    done = healthytwin("detect", scans, "-o", tmp_path / "out", "--bundle", shipped_configs)
    assert done.exit_code == 2
    assert "model.pt: no weights" in done.stderr
    assert "Traceback" not in done.stderr


BROKEN = {
    "text": "{",
    "no text": b"\x80\x04}q\x00.",
    "list": "[]",
    "no version": '{"name": "a"}',
    "inputs": '{"name": "a", "version": "1", "network_data_format": {"inputs": ["MR"]}}',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("command", ["detect", "reprocess"])
def test_broken_metadata_are_the_bundles_fault_and_not_ours(
    healthytwin: Run, identity_bundle: Path, scans: Path, tmp_path: Path, content: str | bytes, command: str
) -> None:
    file = identity_bundle / "configs" / "metadata.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = healthytwin(command, scans, "-o", tmp_path / "out", "--bundle", identity_bundle)
    assert done.exit_code == 2
    assert "metadata.json: " in done.stderr
    assert "a fault of healthytwin" not in done.stderr


def test_weights_whose_hash_differs(healthytwin: Run, shipped_configs: Path, scans: Path, tmp_path: Path) -> None:
    models = shipped_configs / "models"
    models.mkdir()
    (models / "model.pt").write_bytes(b"other weights")
    Calibration(
        weights_sha256="00" * 32,
        voxel_threshold=0.5,
        voxel_false_positive_rate=0.01,
        image_scores=[0.5],
        alpha=0.1,
        min_lesion_ml=0.3,
        cases=["a"],
    ).save(models / "calibration.json")
    done = healthytwin("detect", scans, "-o", tmp_path / "out", "--bundle", shipped_configs)
    assert done.exit_code == 2
    assert "SHA-256" in done.stderr
    assert "000000000000" in done.stderr
