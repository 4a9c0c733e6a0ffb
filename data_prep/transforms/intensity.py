"""MONAI dictionary transforms that fix one intensity scale for a volume of any organ, and where its tissue is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_numpy
from scipy.ndimage import binary_fill_holes, gaussian_filter
from skimage.filters import threshold_otsu

from data_prep.transforms.body import BRAIN_LEVEL, head_depth

Array = np.ndarray
Item = dict[Hashable, Any]


def tissue_mask(volume: Array) -> Array:
    """Where there is tissue: brighter than half of Otsu's threshold, holes filled slice by slice.

    Args:
        volume: `(i, j, k)`, background darkest.

    Returns:
        `(i, j, k)` bool; all True where the volume is constant.
    """
    smooth = gaussian_filter(volume.astype(np.float32), (1, 1, 0))
    low = float(np.percentile(smooth, 0.5))
    if np.ptp(smooth) == 0:
        return np.ones(volume.shape, dtype=bool)
    bright = smooth > low + 0.5 * (threshold_otsu(smooth.ravel()) - low)
    return np.stack([binary_fill_holes(bright[..., k]) for k in range(volume.shape[-1])], axis=-1)


class NormalizeTissued(MapTransform):
    """Scale each channel of a volume `(C, i, j, k)` to [0, 1]: its darkest 0.5 % to 0, its tissue's median to 0.35.

    One line for the whole channel: do this before any crop to a window. A channel that is 0 throughout, a sequence
    that is missing, stays so. A median moves little with a lesion. What is brighter than about three times the tissue
    is cut at 1. The slope is kept in `meta["intensity_scale"]`.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """Scale every key."""
        item = dict(data)
        for key in self.key_iterator(item):
            lines = [_line(channel) for channel in convert_to_numpy(item[key])]
            item[key] = scaled(item[key], *zip(*lines, strict=True)) if len(lines) > 1 else scaled(item[key], *lines[0])
        return item


class NormalizePercentilesd(MapTransform):
    """Scale a volume `(1, i, j, k)` by two of its percentiles, and cut what lies outside [0, 1].

    MONAI's `ScaleIntensityRangePercentilesd`, but the slope is kept in `meta["intensity_scale"]`, so that a twin can
    be given back in the source's units.

    Args:
        keys: what to scale.
        lower: percentile that becomes 0.
        upper: percentile that becomes `level`.
        level: in (0, 1]; below 1 what is brighter than the upper percentile keeps its differences.
        middle: part of each in-plane axis, around its middle, whose voxels are counted: the organ, and not the fat
            around it.

    Raises:
        ValueError: not `0 <= lower < upper <= 100`, or a level or a middle that is not in (0, 1].
    """

    def __init__(
        self, keys: KeysCollection, *, lower: float = 1.0, upper: float = 99.0, level: float = 1.0, middle: float = 1.0
    ) -> None:
        super().__init__(keys)
        if not (0 < level <= 1 and 0 < middle <= 1):
            msg = f"level and middle must be in (0, 1], got {level} and {middle}"
            raise ValueError(msg)
        if not 0 <= lower < upper <= 100:
            msg = f"percentiles must be 0 <= lower < upper <= 100, got {lower} and {upper}"
            raise ValueError(msg)
        self.lower, self.upper, self.level, self.middle = lower, upper, level, middle

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """Scale every key."""
        item = dict(data)
        for key in self.key_iterator(item):
            volume = convert_to_numpy(item[key])[0]
            inner = tuple(slice(*_around_the_middle(size, self.middle)) for size in volume.shape[:2])
            low, high = np.percentile(volume[inner], [self.lower, self.upper])
            item[key] = scaled(item[key], float(low), self.level / float(high - low) if high > low else 1.0)
        return item


class TissueRegiond(MapTransform):
    """Write a mask of the tissue where anomalies may be planted.

    Args:
        keys: the image's key.
        region_key: key of the mask `(1, i, j, k)` uint8.
        margin: mm below the surface, in-plane, that do not belong to it.
    """

    def __init__(self, keys: KeysCollection, *, region_key: str = "region", margin: float = 4.0) -> None:
        super().__init__(keys)
        self.region_key, self.margin = region_key, margin

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """Add the region of the first key."""
        item = dict(data)
        image = item[self.keys[0]]
        channels = convert_to_numpy(image)
        tissue = tissue_mask(next((channel for channel in channels if channel.any()), channels[0]))
        region = head_depth(tissue, voxel_size(image)) > self.margin
        item[self.region_key] = torch.as_tensor(region if region.any() else tissue, dtype=torch.uint8)[None]
        return item


def scaled(image: Any, low: float | Sequence[float], slope: float | Sequence[float]) -> Any:
    """`(image - low) * slope`, one of each or one a channel, cut to [0, 1], with the slope in its meta."""
    if isinstance(low, float | int) or isinstance(slope, float | int):
        result = torch.clamp((image - low) * slope, 0, 1)
    else:
        ends, slopes = (torch.as_tensor(list(one), dtype=image.dtype).reshape(-1, 1, 1, 1) for one in (low, slope))
        result = torch.clamp((image - ends) * slopes, 0, 1)
    if isinstance(result, MetaTensor):
        result.meta["intensity_scale"] = slope
    return result


def _line(channel: Array) -> tuple[float, float]:
    """What becomes 0, and the slope that brings the tissue to its level."""
    low = float(np.percentile(channel, 0.5))
    level = float(np.median(channel[tissue_mask(channel)])) - low
    return low, BRAIN_LEVEL / level if level > 0 else 1.0


def voxel_size(image: Any) -> tuple[float, ...]:
    """Voxel size in mm, 1 where the image carries none."""
    return tuple(np.asarray(image.pixdim, dtype=float)) if isinstance(image, MetaTensor) else (1.0, 1.0, 1.0)


def _around_the_middle(size: int, part: float) -> tuple[int, int]:
    """First and last index of a part of an axis; at least one voxel."""
    start = min(round(size * (1 - part) / 2), (size - 1) // 2)
    return start, size - start
