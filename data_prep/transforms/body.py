"""Where the head is, how deep a voxel lies in it, and how bright its middle is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_fill_holes, binary_opening, distance_transform_edt, label

Array = np.ndarray
_AIR = 0.12  # of the 99th percentile: brighter is tissue
BRAIN_LEVEL = 0.35  # normalised intensity of the middle of the head


def head_mask(volume: Array) -> Array:
    """The head: on every slice the largest bright part, its holes filled.

    Args:
        volume: `(i, j, k)`, background near 0, slices along the last axis.

    Returns:
        `(i, j, k)` bool; all False for an empty volume.
    """
    bright = volume > _AIR * np.percentile(volume, 99)
    head = np.zeros(volume.shape, dtype=bool)
    for k in range(volume.shape[-1]):
        parts, count = label(binary_opening(bright[..., k], iterations=1))
        if count:
            largest = np.bincount(parts.ravel())[1:].argmax() + 1
            head[..., k] = binary_fill_holes(parts == largest)
    return head


def head_depth(head: Array, spacing: Sequence[float]) -> Array:
    """In-plane distance to the outside of the head in mm, `(i, j, k)` float32; 0 outside."""
    depth = np.zeros(head.shape, dtype=np.float32)
    for k in range(head.shape[-1]):
        if head[..., k].any():
            padded = np.pad(head[..., k], 1)
            depth[..., k] = distance_transform_edt(padded, sampling=tuple(spacing[:2]))[1:-1, 1:-1]
    return depth


def brain_level(volume: Array, depth: Array) -> float:
    """Median intensity of the deepest part of the head, which on an axial head series is brain.

    A median over the middle barely moves with a lesion, and skull fat, eyes and air do not count, other than in
    a percentile of the whole picture.

    Args:
        volume: `(i, j, k)`.
        depth: of `head_depth`, mm.

    Returns:
        An intensity above 0; the maximum of the volume where there is no head.
    """
    deep = (depth > 0.55 * depth.max()) & (volume > 0)
    return float(np.median(volume[deep])) if deep.any() else float(max(volume.max(), 1e-6))
