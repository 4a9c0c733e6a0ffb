"""Features of healthy and of planted scans, for methods that are compared on the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.benchmark.cohort import LEAST_BODY
from pipelines.terminal.progress import progress

if TYPE_CHECKING:
    from torch import Tensor

    from anomaly.methods.patchcore import PatchCore

HEALTHY = "healthy"
_MOST = 60  # features of each healthy run, drawn at random


@dataclass(frozen=True, kw_only=True)
class PlantedScan:
    """A volume and its features.

    Args:
        planted: which families; "healthy": none.
        image: `(1, 1, i, j, k)` in [0, 1].
        truth: `(i, j, k)` bool, what was planted.
        maps: `(1, channels, *places, k)`.
    """

    planted: str
    image: Tensor
    truth: np.ndarray
    maps: Tensor

    @property
    def body(self) -> np.ndarray:
        """Where the body is, `(i, j, k)` bool."""
        from anomaly.scoring import foreground

        return foreground(self.image[0, 0].numpy())

    @property
    def levels(self) -> list[int]:
        """The slices that hold enough body."""
        return np.flatnonzero(self.body.mean(axis=(0, 1)) >= LEAST_BODY).tolist()


def gather(bundle: Path, data: Path) -> tuple[PatchCore, Tensor, list[PlantedScan]]:
    """Our PatchCore with an empty bank, healthy features to fill it with, and the volumes to examine.

    The bundle's own steps prepare the scans. Each validation run comes as it is, with the bundle's held-out families
    planted, which are hard to see, and with those that it was trained on. The test section is not read.

    Args:
        bundle: whose encoder and preparation are taken.
        data: datalist with healthy runs under "training" and "validation".
    """
    import torch
    from monai.bundle import ConfigParser
    from monai.transforms import Compose

    from anomaly import load_detector
    from anomaly.methods.patchcore import PatchCore
    from anomaly.synthesis import PlantAnomalyd
    from data_prep import list_runs

    parser = ConfigParser()
    parser.read_config(bundle / "configs" / "train.yaml")
    steps = [parser.get_parsed_content(part) for part in ("load", "prepare", "region", "crop")]
    prepare = Compose([step for part in steps for step in part])
    draw = {"radius": parser["radius"], "slice_ratio": parser["slice_ratio"], "seed_keys": ["case", "run"]}
    planting = {
        name: PlantAnomalyd("image", region_key="region", prob=1.0, families=parser[name], **draw)
        for name in ("held_out_families", "families")
    }
    network: Any = load_detector(bundle, device="cpu").network
    method = PatchCore(network.generator.encoder)
    training, validation = (list_runs(data, section) for section in ("training", "validation"))
    draws, features, scans = torch.Generator().manual_seed(0), [], []
    with progress(len(training) + len(validation), "features") as begin:
        for run in training:
            begin(run["case"])
            found = method.flat(method.features(_batch(prepare(run)["image"])))
            features.append(found[torch.randperm(len(found), generator=draws)[:_MOST]])
        for run in validation:
            begin(run["case"])
            healthy = prepare(run)
            nothing = {**healthy, "mask": torch.zeros(healthy["image"].shape)}
            versions = {HEALTHY: nothing, **{name: plant(dict(healthy)) for name, plant in planting.items()}}
            for name, item in versions.items():
                image, truth = _batch(item["image"]), item["mask"].numpy()[0] > 0
                scans.append(PlantedScan(planted=name, image=image, truth=truth, maps=method.features(image)))
    return method, torch.cat(features), scans


def _batch(image: Tensor) -> Tensor:
    plain: Tensor = image.as_tensor() if hasattr(image, "as_tensor") else image
    return plain[None].float().clamp(0, 1)
