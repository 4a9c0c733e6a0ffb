"""Bundles and scans for the commands, and the command line itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from archive import FAMILY_NAME, Bench, dicom_series
from bright import BrightIsAbnormal, head, write_nifti
from typer.testing import CliRunner, Result

import anomaly
from pipelines.cli.app import app
from pipelines.reprocess.ledger.ledger import Ledger
from pipelines.reprocess.site import Site

SHIPPED = Path(__file__).parents[2] / "bundles" / "brain_flair_healthy_twin"


@pytest.fixture
def shipped_configs(tmp_path: Path) -> Path:
    """A copy of the shipped bundle without its models."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "copy", ignore=shutil.ignore_patterns("models")))


@pytest.fixture
def identity_bundle(shipped_configs: Path) -> Path:
    """The shipped configs around a network that gives back its input: bright is abnormal, with real engines."""
    import torch
    from monai.bundle import ConfigParser

    from anomaly.bundle import sha256_of

    for name in ("evaluate", "inference"):
        path = shipped_configs / "configs" / f"{name}.yaml"
        config = ConfigParser.load_config_file(path)
        config["network_def"] = {"_target_": "torch.nn.Identity"}
        ConfigParser.export_config_file(config, path, fmt="yaml")
    models = shipped_configs / "models"
    models.mkdir()
    torch.save({}, models / "model.pt")
    calibration = BrightIsAbnormal.calibration.model_copy(
        update={"weights_sha256": sha256_of(models / "model.pt"), "voxel_threshold": 0.65}
    )
    calibration.save(models / "calibration.json")
    return shipped_configs


@pytest.fixture
def fake_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle folder whose detector is `BrightIsAbnormal`, and the default one."""
    root = tmp_path / "bundle"
    (root / "configs").mkdir(parents=True)
    (root / "configs" / "metadata.json").write_text('{"name": "bright", "version": "0.1.0"}')
    monkeypatch.setenv("HEALTHYTWIN_BUNDLE", str(root))
    monkeypatch.setattr(anomaly, "load_detector", lambda _root, **_: BrightIsAbnormal())
    return root


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder with one healthy and one abnormal head."""
    write_nifti(tmp_path / "scans" / "healthy.nii.gz", head())
    write_nifti(tmp_path / "scans" / "ill.nii.gz", head(lesion=True))
    return tmp_path / "scans"


@pytest.fixture
def healthytwin() -> Callable[..., Result]:
    """Run the command line in this process: `healthytwin("detect", path, "-o", out)`."""
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A DICOM series with a lesion, one without, and a NIfTI file with one; all named after their patient."""
    dicom_series(tmp_path / "source" / f"{FAMILY_NAME}_JANE" / "flair", lesion=True)
    dicom_series(tmp_path / "source" / "b", seed=1, patient=f"{FAMILY_NAME}^RICK")
    write_nifti(tmp_path / "source" / "c" / f"{FAMILY_NAME}.nii.gz", head(lesion=True))
    return tmp_path / "source"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    (tmp_path / "archive").mkdir()
    ledger = Ledger.of(tmp_path / "archive", wait=5)
    yield ledger
    ledger.close()


@pytest.fixture
def bench(tmp_path: Path, ledger: Ledger, fake_bundle: Path) -> Bench:
    """`bench.work(source)` does all that is in a source."""
    return Bench(tmp_path / "archive", ledger, fake_bundle, Site())
