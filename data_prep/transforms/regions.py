"""MONAI dictionary transforms for heads: one intensity scale per volume, the plantable region, healthy runs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_numpy
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu

from data_prep.transforms.body import BRAIN_LEVEL, brain_level, head_depth, head_mask
from data_prep.transforms.crop import file_to_now
from data_prep.transforms.intensity import scaled, voxel_size

Array = np.ndarray
Item = dict[Hashable, Any]


class NormalizeHeadd(MapTransform):
    """Scale a volume `(1, i, j, k)` to [0, 1] so that the middle of the head has the value 0.35.

    One factor for the whole volume: do this before any crop. Air stays 0; what is brighter than three times the
    brain (fat) is cut at 1. The factor is kept in `meta["intensity_scale"]`.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """Scale every key."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = item[key]
            volume = convert_to_numpy(image)[0]
            level = brain_level(volume, head_depth(head_mask(volume), voxel_size(image)))
            item[key] = scaled(image, 0.0, BRAIN_LEVEL / level)
        return item


class HeadRegiond(MapTransform):
    """Write a mask of the inside of the head, where anomalies may be planted.

    Args:
        keys: the image's key.
        region_key: key of the mask `(1, i, j, k)` uint8.
        margin: mm below the skin that do not belong to it (scalp and skull).
        tissue: normalised intensities (after a little smoothing) that belong to it, not air, fluid and fat;
            None: all.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        *,
        region_key: str = "region",
        margin: float = 12.0,
        tissue: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(keys)
        self.region_key = region_key
        self.margin = margin
        self.tissue = tissue

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """Add the region of the first key."""
        item = dict(data)
        image = item[self.keys[0]]
        volume = convert_to_numpy(image)[0]
        region = head_depth(head_mask(volume), voxel_size(image)) > self.margin
        if self.tissue is not None:
            smooth = gaussian_filter(volume, (1, 1, 0))
            region &= (smooth >= self.tissue[0]) & (smooth <= self.tissue[1])
        item[self.region_key] = torch.as_tensor(region, dtype=torch.uint8)[None]
        return item


_INNER = 0.85  # of the half axes of a box's ellipse
_USUAL = (5, 95)  # percentiles between which an organ's tissues lie


class BoxRegiond(MapTransform):
    """Write a mask of one organ, where anomalies may be planted, from the box around it.

    Args:
        keys: the image's key; a MetaTensor with its `original_affine`.
        box_key: key of the box `[[start, stop], ...]` in the file's voxels; without it the whole image is taken.
        region_key: key of the mask `(1, i, j, k)` uint8: the ellipse that fits the box, on the box's slices.
        darker: only what is darker than Otsu's threshold between the tissues of the ellipse, such as the nulled
            myocardium around the blood of a late-enhancement series. Each slice has a threshold of its own, taken
            inside 0.85 of the ellipse and without the darkest and brightest 5 %, so that fat does not move it.

    Raises:
        ValueError: the box is empty, or the axes of the file are no longer along those of the image.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        *,
        box_key: str = "box",
        region_key: str = "region",
        darker: bool = False,
    ) -> None:
        super().__init__(keys)
        self.box_key = box_key
        self.region_key = region_key
        self.darker = darker

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """Add the region of the first key."""
        item = dict(data)
        image = item[self.keys[0]]
        volume = convert_to_numpy(image)[0]
        region = inner = np.ones(volume.shape, dtype=bool)
        if self.box_key in item:
            low, high = _box_now(item[self.box_key], image)
            (i, j, k), middle, half = np.ogrid[tuple(map(slice, volume.shape))], (low + high) / 2, (high - low) / 2
            off = ((i - middle[0]) / half[0]) ** 2 + ((j - middle[1]) / half[1]) ** 2  # squared, of the half axes
            slices = (k > low[2]) & (k < high[2])
            region, inner = (off < 1) & slices, (off < _INNER**2) & slices
        smooth = gaussian_filter(volume, (1, 1, 0))
        if self.darker:
            for level in np.flatnonzero(inner.any(axis=(0, 1))):
                region[..., level] &= smooth[..., level] <= _between_tissues(smooth[..., level][inner[..., level]])
        item[self.region_key] = torch.as_tensor(region, dtype=torch.uint8)[None]
        return item


def _between_tissues(values: Array) -> float:
    """Otsu's threshold of intensities `(n,)` without their extremes; the brightest where all are the same."""
    low, high = np.percentile(values, _USUAL)
    return float(threshold_otsu(np.clip(values, low, high))) if high > low else float(values.max())


def _box_now(box: Sequence[Sequence[int]], image: MetaTensor) -> tuple[Array, Array]:
    """The edges of the voxels `[start, stop)` of the file in `image`, low and high, `(3,)` each."""
    ends = np.asarray([[int(end) for end in axis] for axis in box], dtype=float).T
    to_now = file_to_now(image)
    if ends.shape != (2, 3) or (ends[0] >= ends[1]).any():
        msg = f"not a box of three axes, start before stop: {box}"
        raise ValueError(msg)
    if (np.count_nonzero(np.abs(to_now[:3, :3]) > 1e-3, axis=0) != 1).any():
        msg = "the axes of the file are no longer along the image's; its box cannot be found"
        raise ValueError(msg)
    edges = (to_now[:3, :3] @ (ends - 0.5).T).T + to_now[:3, 3]
    return edges.min(axis=0), edges.max(axis=0)
