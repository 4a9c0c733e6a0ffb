"""A bundle that is pinned as a whole, and what a damaged or hostile one says."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import Result

from anomaly.bundle import BundleError, bundle_sha256, load_metadata, sha256_of
from anomaly.detector import Detector
from anomaly.scoring.calibration import Calibration
from pipelines.bundles import check_trusted, modalities, pinned
from pipelines.problems import CommandError

Run = Callable[..., Result]
RECIPE = "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"


def test_the_hash_of_a_bundle_is_what_sha256sum_gives(bundle: Path) -> None:
    told = subprocess.run(["bash", "-c", RECIPE], cwd=bundle, capture_output=True, text=True, check=True)
    assert bundle_sha256(bundle) == told.stdout.split()[0]


@pytest.mark.parametrize("change", ["change", "add", "rename", "remove", "hide"])
def test_any_change_of_any_file_changes_it(fake_bundle: Path, change: str) -> None:
    before = bundle_sha256(fake_bundle)
    file = fake_bundle / "configs" / "metadata.json"
    (fake_bundle / "docs").mkdir()
    assert bundle_sha256(fake_bundle) == before, "an empty folder says nothing"
    if change == "change":
        file.write_bytes(file.read_bytes() + b" ")
    elif change in ("add", "hide"):
        (fake_bundle / "configs" / ("x.py" if change == "add" else ".x")).touch()
    elif change == "rename":
        file.rename(file.with_name("metadata2.json"))
    else:
        file.unlink()
    assert bundle_sha256(fake_bundle) != before


def test_a_folder_that_leads_elsewhere_cannot_be_pinned(fake_bundle: Path, tmp_path: Path) -> None:
    (fake_bundle / "scripts").symlink_to(tmp_path)
    with pytest.raises(BundleError, match="scripts: neither a file nor a folder"):
        bundle_sha256(fake_bundle)


def test_another_bundle_than_the_pinned_one_is_refused_before_it_is_loaded(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    right = bundle_sha256(fake_bundle)
    assert pinned(fake_bundle, right.upper()) == fake_bundle
    assert healthytwin("detect", scans, "-o", tmp_path / "out", "--no-report", "--bundle-sha256", right).exit_code == 0
    (fake_bundle / "configs" / "more.yaml").write_text("x: $__import__('os').system('touch planted')\n")
    for command in (["detect", scans, "-o", tmp_path / "new"], ["reprocess", scans, "-o", tmp_path / "new"]):
        done = healthytwin(*command, "--bundle-sha256", right)
        assert done.exit_code == 2
        assert "not trusted" in done.stderr
        assert bundle_sha256(fake_bundle) in done.stderr
    assert not (tmp_path / "new").exists()


def test_the_site_file_lists_the_bundles_that_are_trusted(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(f"trusted_bundles: ['{'0' * 64}']\n")
    done = healthytwin("reprocess", scans, "-o", tmp_path / "archive", "--site", site)
    assert (done.exit_code, "not trusted" in done.stderr) == (2, True)
    assert not (tmp_path / "archive").exists()
    check_trusted(fake_bundle, ["0" * 64, bundle_sha256(fake_bundle)])
    with pytest.raises(CommandError, match="none of those"):
        check_trusted(fake_bundle, [])
    site.write_text("trusted_bundles: [anything]\n")
    done = healthytwin("reprocess", scans, "-o", tmp_path / "archive", "--site", site)
    assert "trusted_bundles" in done.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"image_scores": [0.2, 0.1]},
        {"image_scores": [-0.1, 0.5]},
        {"image_scores": [0.1, 1.5]},
        {"image_scores": []},
        {"image_scores": [float("nan")]},
        {"voxel_threshold": float("nan")},
        {"voxel_threshold": -1},
        {"min_lesion_ml": float("inf")},
        {"min_lesion_ml": float("nan")},
        {"alpha": 0},
        {"appearance": {"spread": [2.0, 1.0]}},
        {"appearance": {"spread": [float("inf")]}},
    ],
    ids=str,
)
def test_a_calibration_without_sense_is_refused(identity_bundle: Path, change: dict[str, Any]) -> None:
    path = identity_bundle / "models" / "calibration.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BundleError, match="not a calibration"):
        Detector(identity_bundle, device="cpu")


class Planted:
    """A pickle that runs a program when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return subprocess.call, (["touch", str(self.mark)],)


@pytest.mark.parametrize("what", ["pickle", "torch pickle", "text", "nothing", "other weights"])
def test_weights_that_are_none_name_the_bundle_and_run_nothing(
    identity_bundle: Path, tmp_path: Path, what: str
) -> None:
    path = identity_bundle / "models" / "model.pt"
    planted = Planted(tmp_path / "planted")
    if what == "torch pickle":
        torch.save(planted, path)
    elif what == "other weights":
        torch.save({"x": torch.zeros(1)}, path)
    else:
        path.write_bytes({"pickle": pickle.dumps(planted), "text": b"text", "nothing": b""}[what])
    calibration = Calibration.load(identity_bundle / "models" / "calibration.json")
    calibration.model_copy(update={"weights_sha256": sha256_of(path)}).save(path.with_name("calibration.json"))
    with pytest.raises(BundleError, match=r"model\.pt: not the weights of this bundle's network"):
        Detector(identity_bundle, device="cpu")
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"name": "x"}', '{"version": "1"}', "null", '{"name": 1, "version": []}']
)
def test_metadata_that_say_nothing_name_the_bundle(
    healthytwin: Run, identity_bundle: Path, scans: Path, tmp_path: Path, text: str
) -> None:
    (identity_bundle / "configs" / "metadata.json").write_text(text)
    done = healthytwin("detect", scans, "-o", tmp_path / "out", "--bundle", identity_bundle)
    assert done.exit_code == 2
    assert "metadata.json" in done.stderr
    assert "fault of healthytwin" not in done.stderr


@pytest.mark.parametrize(
    "text", ["", ": {", "network: 3", "network_def: {_target_: no.such.thing}\nnetwork: '@network_def'"]
)
def test_a_config_that_cannot_be_built_names_the_bundle(identity_bundle: Path, text: str) -> None:
    (identity_bundle / "configs" / "inference.yaml").write_text(text)
    with pytest.raises(BundleError, match=r"inference\.yaml"):
        Detector(identity_bundle, device="cpu")


def test_a_bundle_that_does_not_say_what_goes_in(fake_bundle: Path) -> None:
    path = fake_bundle / "configs" / "metadata.json"
    path.write_text('{"name": "x", "version": "1", "network_data_format": []}')
    with pytest.raises(BundleError, match="network_data_format"):
        modalities(fake_bundle)
    shutil.rmtree(fake_bundle / "configs")
    with pytest.raises(BundleError, match="not a bundle"):
        load_metadata(fake_bundle)
