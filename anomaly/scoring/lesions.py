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
    mask = np.zeros(score_map.shape, dtype=np.uint8)
    parts, count = ndimage.label(score_map >= threshold, structure=np.ones((3, 3, 3)))
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    lesions = []
    for index, box in enumerate(ndimage.find_objects(parts, max_label=count), start=1):
        inside = parts[box] == index
        volume_ml = float(inside.sum() * voxel_ml)
        if volume_ml < min_lesion_ml:
            continue
        mask[box] |= inside
        centre = np.argwhere(inside).mean(axis=0) + [axis.start for axis in box]
        x, y, z = np.round(affine[:3, :3] @ centre + affine[:3, 3], 1)
        peak = float(score_map[box][inside].max())
        position = (float(x), float(y), float(z))
        lesions.append(Lesion(volume_ml=round(volume_ml, 3), centroid_mm=position, peak_score=peak))
    return mask, sorted(lesions, key=lambda lesion: -lesion.volume_ml)
