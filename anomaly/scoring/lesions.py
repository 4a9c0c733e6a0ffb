"""Mask clean-up: connected parts large enough to matter, each described."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from anomaly.finding import Lesion

Array = np.ndarray


def find_lesions(
    score_map: Array, affine: Array, *, threshold: float, min_lesion_ml: float
) -> tuple[Array, list[Lesion]]:
    """Threshold a score map and describe its connected parts (26-neighbourhood).

    Args:
        score_map: `(i, j, k)` in [0, 1].
        affine: 4 x 4, voxel to RAS+ mm.
        threshold: scores from here on count.
        min_lesion_ml: smaller parts are dropped.

    Returns:
        The mask `(i, j, k)` uint8, and its lesions, largest first. Both may be empty.
    """
    parts, count = ndimage.label(score_map >= threshold, structure=np.ones((3, 3, 3)))
    if count == 0:
        return np.zeros(score_map.shape, dtype=np.uint8), []
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    volumes = np.bincount(parts.ravel(), minlength=count + 1) * voxel_ml
    volumes[0] = 0
    kept = [index for index in np.argsort(-volumes) if index and volumes[index] >= min_lesion_ml]
    centres = ndimage.center_of_mass(parts > 0, parts, kept)
    peaks = ndimage.maximum(score_map, parts, kept)
    lesions = []
    for index, centre, peak in zip(kept, centres, peaks, strict=True):
        x, y, z = affine[:3, :3] @ np.array(centre) + affine[:3, 3]
        position = (round(float(x), 1), round(float(y), 1), round(float(z), 1))
        lesions.append(Lesion(volume_ml=round(float(volumes[index]), 3), centroid_mm=position, peak_score=float(peak)))
    return np.isin(parts, kept).astype(np.uint8), lesions
