"""Maps of the network's grid at the voxels of the source, slab by slab, so that memory is bounded by the result."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, SpatialResample
from monai.utils import convert_to_numpy, convert_to_tensor, ensure_tuple_rep
from torch import Tensor

Array = np.ndarray
_SLICES = 16  # of the source in one go
_EDGE = 1.0  # voxels beyond the grid that still take its border's value: rounded sizes leave half a voxel uncovered


class ToSourced(MapTransform):
    """Take maps on a prepared image's grid to the grid of the file that the image came from, by `to_source`.

    For the `postprocessing` of an `AnomalyEvaluator`; what a `Detector` does, too.

    Args:
        keys: of the maps, `(C, *spatial)` or `(*spatial)` each.
        orig_key: of the image, with its affine, and `original_affine` and `spatial_shape` in its meta data.
        nearest: take the nearest voxel's value, as for masks; one for all keys, or one each.
        allow_missing_keys: see MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        orig_key: str = "image",
        nearest: bool | list[bool] = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.orig_key = orig_key
        self.nearest = ensure_tuple_rep(nearest, len(self.keys))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The maps as `(C, i, j, k)` float32 with the source's affine."""
        data = dict(data)
        image = data[self.orig_key]
        source_affine = np.asarray(convert_to_numpy(image.meta["original_affine"]), dtype=np.float64)
        shape = tuple(int(size) for size in convert_to_numpy(image.meta["spatial_shape"]))
        for key, nearest in self.key_iterator(data, self.nearest):
            maps = convert_to_tensor(data[key], track_meta=False, device="cpu")
            maps = maps[None] if maps.dim() < image.dim() else maps
            there = to_source(
                maps, convert_to_numpy(image.affine), source_affine=source_affine, shape=shape, nearest=nearest
            )
            data[key] = MetaTensor(torch.as_tensor(there), affine=torch.as_tensor(source_affine))
        return data


def to_source(
    maps: Tensor, affine: Array, *, source_affine: Array, shape: tuple[int, ...], nearest: bool = False
) -> Array:
    """Interpolate maps linearly at every voxel of another grid.

    MONAI's `Invertd` gives the same, but interpolates the whole volume in double precision: 9 GiB for 512 x 512 x 600.

    Args:
        maps: `(C, *spatial)`, three axes, on the grid of `affine`.
        affine: 4 x 4, voxel to mm.
        source_affine: 4 x 4 of the other grid, in the same world.
        shape: voxels of the other grid `(i, j, k)`.
        nearest: take the nearest voxel's value instead.

    Returns:
        `(C, i, j, k)` float32; 0 where the maps do not reach, as where the source was cropped.
    """
    mode = "nearest" if nearest else "bilinear"
    resample = SpatialResample(mode=mode, padding_mode="border", align_corners=False, dtype=torch.float32)
    known = MetaTensor(maps.float(), affine=torch.as_tensor(np.asarray(affine, dtype=np.float64)))
    result = np.empty((maps.shape[0], *shape), dtype=np.float32)
    for start in range(0, shape[2], _SLICES):
        size = (*shape[:2], min(_SLICES, shape[2] - start))
        here = np.array(source_affine, dtype=np.float64)
        here[:3, 3] += here[:3, 2] * start
        slab = resample(known, dst_affine=torch.as_tensor(here), spatial_size=size).numpy()
        result[..., start : start + size[2]] = np.where(_covered(maps, affine, here, size), slab, 0)
    return result


def _covered(maps: Tensor, affine: Array, here: Array, size: tuple[int, ...]) -> Array:
    """Which voxels of a slab lie on the maps' grid, broadcastable to `size`."""
    to_maps = np.linalg.inv(np.asarray(affine, dtype=np.float64)) @ here
    grid = np.ogrid[tuple(slice(0, length) for length in size)]
    covered: Array = np.ones((1, 1, 1), dtype=bool)
    for axis, length in enumerate(maps.shape[1:]):
        steps = to_maps[axis, :3]
        place = to_maps[axis, 3] + sum(step * line for step, line in zip(steps, grid, strict=True) if abs(step) > 1e-6)
        covered = covered & (place > -_EDGE) & (place < length - 1 + _EDGE)
    return covered
