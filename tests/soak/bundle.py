"""The cheapest real bundle: the shipped configs around a network that gives back its input."""

from __future__ import annotations

import shutil
from pathlib import Path

from anomaly.scoring.calibration import Calibration

_SHIPPED = Path(__file__).resolve().parents[2] / "bundles" / "brain_flair_healthy_twin"


def make_bundle(folder: Path) -> Path:
    """Make it: bright is abnormal, by the real engines."""
    import torch
    from monai.bundle import ConfigParser

    from anomaly.bundle import sha256_of

    shutil.copytree(_SHIPPED, folder, ignore=shutil.ignore_patterns("models"))
    config = ConfigParser.load_config_file(folder / "configs" / "inference.yaml")
    config["network_def"] = {"_target_": "torch.nn.Identity"}
    ConfigParser.export_config_file(config, folder / "configs" / "inference.yaml", fmt="yaml")
    (folder / "models").mkdir()
    torch.save({}, folder / "models" / "model.pt")
    Calibration(
        weights_sha256=sha256_of(folder / "models" / "model.pt"),
        voxel_threshold=0.65,
        voxel_false_positive_rate=0.005,
        image_scores=[0.3, 0.32, 0.35, 0.36, 0.37, 0.38, 0.39, 0.4, 0.41],
        alpha=0.1,
        min_lesion_ml=0.3,
        cases=[f"healthy-{number}" for number in range(9)],
    ).save(folder / "models" / "calibration.json")
    return folder
