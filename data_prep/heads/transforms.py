"""`RandSynthesiseHeadd`: a MONAI dictionary transform from label maps to pictures of any contrast."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable
from monai.utils import convert_to_numpy

from data_prep.heads.head import synthesise
from data_prep.heads.head_map import HeadMap, head_of, read_head
from data_prep.heads.recipe import Recipe, draw_recipe
from data_prep.heads.tissues import TISSUES
from data_prep.transforms.body import BRAIN_LEVEL

_MAPPED = 0.6  # part of a voxel that must be brain, for an anomaly to be planted there


class HeadMapd(MapTransform):
    """Read a label map into a `HeadMap`, once: a `CacheDataset` keeps what stands before the first random transform.

    Args:
        keys: of the path of a label map; the map replaces it.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Read every key; raises `InputError` as `read_head` does."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = read_head(item[key])
        return item


class RandSynthesiseHeadd(Randomizable, MapTransform):
    """Make a picture from the label map under the first key; a new one at every call.

    Writes `image` `(1, *size)` in [0, 1] with the brain at about 0.35, `region` `(1, *size)` uint8, 1 in the brain,
    and `recipe`, from which `synthesise` makes the same picture again.

    Args:
        keys: the label map's, `(1, x, y, z)`, or that of a `HeadMap`, which spares the time of making one.
        contrasts: names of `CONTRASTS`, and how often each is drawn.
        size: voxels of the picture, a slab in or below the brain; None: the whole head.
        pixel: mm in-plane, smallest and largest.
        slices: mm from slice to slice, smallest and largest.
        stripped: part of the pictures without skull.
        level: range of a factor on the brightness, as a whole scan's normalisation errs on a part of it.
        image_key: where the picture goes.
        region_key: where the brain's mask goes.
    """

    def __init__(
        self,
        keys: KeysCollection = "label",
        *,
        contrasts: Mapping[str, float],
        size: tuple[int, int, int] | None = (96, 96, 8),
        pixel: tuple[float, float] = (1.0, 2.0),
        slices: tuple[float, float] = (1.0, 6.0),
        stripped: float = 0.5,
        level: tuple[float, float] = (0.8, 1.25),
        image_key: str = "image",
        region_key: str = "region",
    ) -> None:
        MapTransform.__init__(self, keys)
        self.draw: dict[str, Any] = {
            "contrasts": dict(contrasts),
            "size": None if size is None else (size[0], size[1], size[2]),
            "pixel": tuple(pixel),
            "slices": tuple(slices),
            "stripped": stripped,
        }
        self.level = level
        self.image_key, self.region_key = image_key, region_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Draw a recipe and follow it."""
        item = dict(data)
        head = _as_head(item[self.keys[0]])
        rng = np.random.default_rng(self.R.randint(2**31))
        recipe = draw_recipe(rng, head, **self.draw)
        made, factor = synthesise(head, recipe), rng.uniform(*self.level)
        item[self.image_key] = MetaTensor(
            torch.from_numpy(np.clip(made.image * factor * BRAIN_LEVEL / brain_level_of(recipe), 0, 1))[None],
            affine=torch.diag(torch.tensor([*recipe.geometry.spacing, 1.0], dtype=torch.float64)),
        )
        item[self.region_key] = torch.from_numpy((made.brain > _MAPPED).astype(np.uint8))[None]
        item["recipe"] = recipe
        return item


def _as_head(labels: Any) -> HeadMap:
    if isinstance(labels, HeadMap):
        return labels
    affine = convert_to_numpy(labels.affine) if isinstance(labels, MetaTensor) else np.eye(4)
    return head_of(convert_to_numpy(labels)[0], np.asarray(affine))


def brain_level_of(recipe: Recipe) -> float:
    """What the median over the middle of the whole head would be: mostly white matter."""
    mean = dict(zip(TISSUES, recipe.contrast.mean, strict=True))
    return 0.6 * mean["white"] + 0.4 * mean["cortex"]
