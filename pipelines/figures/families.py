"""A picture of every anomaly family, planted in a demo head: `python -m pipelines.figures.families FILE.png`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np

_DRAWS = 3  # of each family
_SIZE = 96  # pixels a picture covers, around the middle of the slice


def draw_families(path: Path, *, seed: int = 3) -> Path:
    """Write the contact sheet.

    Args:
        path: a PNG file.
        seed: another seed draws other shapes.
    """
    from matplotlib.figure import Figure

    from anomaly.synthesis import FAMILIES, PlantAnomalyd

    item = _prepared_head(seed)
    figure = Figure(figsize=(2 * _DRAWS * 1.25, len(FAMILIES) * 1.25), layout="constrained")
    rows = figure.subplots(len(FAMILIES), 2 * _DRAWS)
    for family, places in zip(FAMILIES, rows, strict=True):
        plant = PlantAnomalyd(region_key="region", families=[family], prob=1.0, radius=(8.0, 16.0), most=1)
        plant.set_random_state(seed=seed)
        for number in range(_DRAWS):
            done = plant(dict(item))
            level = int(done["mask"][0].sum(dim=(0, 1)).argmax())
            for place, key in zip(places[2 * number :], ("image", "mask"), strict=False):
                place.imshow(_middle(done[key], level).T, cmap="gray", vmin=0, vmax=0.8, origin="lower")
                place.set_xticks([])
                place.set_yticks([])
        places[0].set_ylabel(family, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=75)
    return path


def _prepared_head(seed: int) -> dict[Hashable, Any]:
    """A healthy demo head as the FLAIR bundle prepares it, with the region where anomalies may lie."""
    from monai.transforms import Compose

    from anomaly.bundle import bundle_root
    from data_prep.demo.cohort import make_cohort
    from pipelines.bundles import DEFAULT_BUNDLE

    with tempfile.TemporaryDirectory() as folder:
        make_cohort(folder, seed=seed, healthy=1, lesions=0, dicom=0)
        parser = _parser(Path(bundle_root(DEFAULT_BUNDLE)))
        steps = [parser.get_parsed_content(name) for name in ("load", "prepare", "region")]
        image = next(Path(folder, "images").glob("*.nii.gz"))
        item: dict[Hashable, Any] = Compose([step for part in steps for step in part])(
            {"image": str(image), "case": "head"}
        )
    return item


def _parser(root: Path) -> Any:
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(root / "configs" / "train.yaml"))
    parser["bundle_root"] = str(root)
    return parser


def _middle(image: Any, level: int) -> np.ndarray:
    """The middle of one slice of `(1, i, j, k)`."""
    picture = np.asarray(image)[0, ..., level]
    start = [max(0, (size - _SIZE) // 2) for size in picture.shape]
    return picture[start[0] : start[0] + _SIZE, start[1] : start[1] + _SIZE]


if __name__ == "__main__":
    sys.stdout.write(f"{draw_families(Path(sys.argv[1]))}\n")
