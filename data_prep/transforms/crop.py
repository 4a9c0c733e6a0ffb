"""Cut a volume to the run of slices that an item names."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

Array = np.ndarray
Item = dict[Hashable, Any]


class CropRund(MapTransform):
    """Keep one run of slices of `(C, i, j, k)`.

    A run is `[start, stop)` along the third axis of the file; it is found again after reorientation and
    resampling by the affines, as long as that axis is still the last one.

    Args:
        keys: what to crop; the first must be a MetaTensor with its `original_affine`.
        run_key: key of the pair `(start, stop)`; an item without it stays whole.

    Raises:
        ValueError: the run is empty or beyond the volume, or its axis is no longer the last.
    """

    def __init__(self, keys: KeysCollection, *, run_key: str = "run", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.run_key = run_key

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """Crop every key."""
        item = dict(data)
        if self.run_key not in item:
            return item
        image = item[self.keys[0]]
        start, stop = _now(item[self.run_key], image)
        if not 0 <= start < stop <= image.shape[-1]:
            msg = f"run {item[self.run_key]} is slices [{start}, {stop}) of {image.shape[-1]}"
            raise ValueError(msg)
        for key in self.key_iterator(item):
            item[key] = item[key][..., start:stop]
        return item


def _now(run: Sequence[int], image: MetaTensor) -> tuple[int, int]:
    """Where the slices `[start, stop)` of the file are in `image`."""
    to_now = file_to_now(image)
    if np.abs(to_now[2, :2]).max() > 1e-3 or abs(to_now[2, 2]) < 1e-6:
        msg = "the slices of the file are no longer along the last axis; runs cannot be cropped"
        raise ValueError(msg)
    edges = sorted(float(to_now[2, 2] * (edge - 0.5) + to_now[2, 3] + 0.5) for edge in run)
    return round(edges[0]), round(edges[1])


def file_to_now(image: MetaTensor) -> Array:
    """4 x 4, from the file's voxels to those of `image`."""
    matrix: Array = np.linalg.inv(image.affine.numpy()) @ np.asarray(image.meta["original_affine"], dtype=float)
    return matrix
