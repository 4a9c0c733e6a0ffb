"""Smooth random fields on a grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.ndimage import zoom

Array = np.ndarray
_FINER = 3  # a cubic spline to a grid so much finer, and lines from there: the eye sees no kink


def smooth_field(seed: int, shape: Sequence[int], *, knots: Sequence[int], channels: int = 1) -> Array:
    """Normal values at a few knots, interpolated.

    Args:
        seed: of the values.
        shape: `(i, j, k)` of the grid.
        knots: along each axis.
        channels: independent fields.

    Returns:
        `(channels, i, j, k)` float32.
    """
    values = np.random.default_rng(seed).normal(size=(channels, *knots)).astype(np.float32)
    finer = np.stack([zoom(one, _FINER, order=3, mode="nearest") for one in values])
    wide = F.interpolate(torch.from_numpy(finer)[None], size=tuple(shape), mode="trilinear", align_corners=True)
    return np.asarray(wide[0])
