"""CT: which Hounsfield units a network sees, and where the body is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_numpy
from scipy.ndimage import binary_erosion, binary_fill_holes, binary_opening, gaussian_filter, label
from torch import Tensor

from data_prep.transforms.body import head_depth
from data_prep.transforms.intensity import voxel_size

Array = np.ndarray
Item = dict[Hashable, Any]
AIR_HU = -500.0
SOFT_TISSUE_HU = (-200, 300)  # without lung and bone
PERCENTILES = (0.5, 99.5)  # of the tissue, as nnU-Net takes them of its labels
BODY_LEVEL = 0.05  # the lower end of the window in the body; air outside is 0, below what scoring takes for body
_PADDING_SHARE = 0.02  # of all voxels, from which on a value in the corners is padding
_PART = 0.1  # of the largest part, from which on another part belongs to the body, as a second leg does
_NARROWEST_HU = 10.0


def body_mask(volume: Array) -> Array:
    """The body in a CT volume: above -500 HU and not padding, without the table, air within it filled.

    Args:
        volume: `(i, j, k)` in HU, slices along the last axis.

    Returns:
        `(i, j, k)` bool; all False where there is no body.
    """
    dense = (volume > AIR_HU) & ~_padding(volume)
    opened = np.stack([binary_opening(dense[..., k], iterations=2) for k in range(dense.shape[-1])], axis=-1)
    parts, count = label(opened if opened.any() else dense)
    if not count:
        return dense
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    kept = (sizes >= _PART * sizes.max())[parts]
    kept[parts == 0] = False
    return np.stack([binary_fill_holes(kept[..., k]) for k in range(kept.shape[-1])], axis=-1)


def _padding(volume: Array) -> Array:
    """Voxels of the value that fills what was not measured: that of most corners, where enough voxels hold it."""
    corners = volume[np.ix_(*[(0, size - 1) for size in volume.shape])]
    values, counts = np.unique(corners, return_counts=True)
    filled: Array = volume == values[counts.argmax()]
    enough = counts.max() > corners.size // 2 and filled.mean() > _PADDING_SHARE
    return filled if enough else np.zeros(volume.shape, dtype=bool)


class TissueWindow:
    """Collects the soft tissue of CT scans, and gives the window that holds it.

    Soft tissue is -200 to 300 HU within the body, a voxel away in-plane from air and bone, so that what a voxel has
    of both does not count. nnU-Net [Isensee 2021] takes the same percentiles, of what is labelled.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(SOFT_TISSUE_HU[1] - SOFT_TISSUE_HU[0] + 1, dtype=np.int64)

    def add(self, volume: Array) -> None:
        """Take in one scan, `(i, j, k)` in HU."""
        low, high = SOFT_TISSUE_HU
        soft = body_mask(volume) & (volume >= low) & (volume <= high)
        inner = binary_erosion(soft, np.ones((3, 3, 1)))
        values = np.rint(volume[inner if inner.any() else soft]).astype(np.int64) - low
        self.counts += np.bincount(values, minlength=len(self.counts))

    def window(self) -> tuple[float, float] | None:
        """The 0.5th and 99.5th percentile, HU; None where there is no soft tissue, or all of it has one value."""
        below = np.cumsum(self.counts)
        if not below[-1]:
            return None
        ends = np.searchsorted(below, np.array(PERCENTILES) / 100 * below[-1]) + SOFT_TISSUE_HU[0]
        low, high = (float(end) for end in ends)
        return (low, high) if high - low >= _NARROWEST_HU else None


class NormalizeWindowd(MapTransform):
    """Scale a CT volume `(C, i, j, k)` from HU: air and what lies beside the body to 0, the body to 0.05 to 1.

    The same HU is the same number in every scan, as [MONAI's] `ScaleIntensityRanged` has it. What lies below the window
    is 0.05 within the body, so that the body can be told from air whatever the window. The slope of the first window
    is kept in `meta["intensity_scale"]`, its ends in `meta["window"]`.

    Args:
        keys: what to scale.
        windows: `[low, high]` in HU; each gives one channel of the result, and where there are several scans of one
            visit, one of each.

    Raises:
        ValueError: no window, or one whose ends are not in order.
    """

    def __init__(self, keys: KeysCollection, *, windows: Sequence[Sequence[float]]) -> None:
        super().__init__(keys)
        if not windows or any(len(window) != 2 or not window[0] < window[1] for window in windows):
            msg = f"windows must be pairs of HU, the lower one first, got {windows}"
            raise ValueError(msg)
        self.windows = [(float(low), float(high)) for low, high in windows]

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """Scale every key."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = item[key]
            slopes = [(1 - BODY_LEVEL) / (high - low) for low, high in self.windows]
            result = torch.stack([one for scan in image for one in self._seen(scan, slopes)])
            if isinstance(image, MetaTensor):
                result = MetaTensor(result, meta=image.meta, applied_operations=image.applied_operations)
                result.meta |= {"intensity_scale": slopes * len(image), "window": self.windows[0]}
            item[key] = result
        return item

    def _seen(self, scan: Tensor, slopes: Sequence[float]) -> list[Tensor]:
        """One scan `(i, j, k)` through each window; 0 throughout where it is missing."""
        scan = torch.as_tensor(scan)
        body = torch.as_tensor(body_mask(convert_to_numpy(scan))) & bool(scan.any())
        return [
            torch.where(body, torch.clamp((scan - low) * slope + BODY_LEVEL, BODY_LEVEL, 1), 0.0)
            for (low, _), slope in zip(self.windows, slopes, strict=True)
        ]


class WindowRegiond(MapTransform):
    """Write a mask of the tissue within a CT window, where anomalies may be planted.

    Args:
        keys: the image's key, after `NormalizeWindowd`.
        region_key: key of the mask `(1, i, j, k)` uint8.
        margin: mm below the skin, in-plane, that do not belong to it.
        tissue: normalised intensities (after a little smoothing) that belong to it, not air within the body, not bone.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        *,
        region_key: str = "region",
        margin: float = 4.0,
        tissue: tuple[float, float] = (0.08, 0.97),
    ) -> None:
        super().__init__(keys)
        self.region_key, self.margin, self.tissue = region_key, margin, tissue

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """Add the region of the first key."""
        item = dict(data)
        image = item[self.keys[0]]
        channels = convert_to_numpy(image)
        body = (channels > 0).any(axis=0)
        inner = head_depth(body, voxel_size(image)) > self.margin
        seen = np.zeros(body.shape, dtype=bool)
        for channel in channels:
            pair = (channel, gaussian_filter(channel, (1, 1, 0)))  # a voxel, and its surroundings
            seen |= np.all([(values >= self.tissue[0]) & (values <= self.tissue[1]) for values in pair], axis=0)
        region = inner & seen
        item[self.region_key] = torch.as_tensor(region if region.any() else body, dtype=torch.uint8)[None]
        return item
