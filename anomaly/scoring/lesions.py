"""Mask clean-up: connected parts large enough to matter, each described."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from anomaly.finding import Lesion

Array = np.ndarray
_THICK = 1.3  # times the in-plane spacing: below it, slices are taken axially
_MIDDLE_MM = 5.0  # this near to the middle, a lesion is on neither side


def find_lesions(
    score_map: Array, affine: Array, *, threshold: float, min_lesion_ml: float
) -> tuple[Array, list[Lesion]]:
    """Threshold a score map and describe its connected parts (26-neighbourhood).

    Args:
        score_map: `(i, j, k)` in [0, 1].
        affine: 4 x 4, voxel to RAS+ mm.
        threshold: scores from here on count.
        min_lesion_ml: smaller parts are dropped.

    A slice of a picture `(i, j, 1)` counts as 1 mm thick, so that its volume in ml is a thousandth of its area in mm2.

    Returns:
        The mask `(i, j, k)` uint8, and its lesions, largest first. Both may be empty.
    """
    mask = np.zeros(score_map.shape, dtype=np.uint8)
    parts, count = _parts(score_map >= threshold)
    flat, voxel_ml = is_flat(score_map.shape), voxel_volume(affine, score_map.shape)
    across = 2 if flat else slice_axis(affine)
    middle = float((affine[:3, :3] @ ((np.array(score_map.shape) - 1) / 2) + affine[:3, 3])[0])
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
        lesions.append(
            Lesion(
                volume_ml=round(volume_ml, 3),
                centroid_mm=position,
                peak_score=peak,
                diameter_mm=round(largest_diameter(inside, affine, flat=flat), 1),
                area_mm2=float(f"{1000 * volume_ml:.4g}") if flat else None,
                area_pixels=int(inside.sum()) if flat else None,
                slice=box[across].start + int(np.moveaxis(inside, across, 0).sum(axis=(1, 2)).argmax()) + 1,
                side=_side(x - middle),
            )
        )
    return mask, sorted(lesions, key=lambda lesion: -lesion.volume_ml)


def is_flat(shape: Sequence[int]) -> bool:
    """Is a grid `(i, j, k)` that of a picture: one slice along the third axis?"""
    return shape[2] == 1


def voxel_volume(affine: Array, shape: Sequence[int]) -> float:
    """Millilitres of a voxel; of a picture's, those of a slice 1 mm thick.

    Args:
        affine: 4 x 4, voxel to mm.
        shape: of the grid.
    """
    if is_flat(shape):
        return float(np.linalg.norm(np.cross(affine[:3, 0], affine[:3, 1]))) / 1000
    return float(abs(np.linalg.det(affine[:3, :3]))) / 1000


def largest_diameter(inside: Array, affine: Array, *, flat: bool = False) -> float:
    """The greatest distance between two corners of the voxels of a part, mm (maximum 3D diameter, IBSI L0JK).

    Args:
        inside: `(i, j, k)` bool, at least one voxel.
        affine: 4 x 4, voxel to mm; what it shifts by does not matter.
        flat: of a picture: between corners of its pixels.
    """
    axes = 2 if flat else 3
    inside = inside[..., 0] if flat else inside
    across = np.linalg.qr(affine[:3, :2])[1] if flat else affine[:3, :3]  # in-plane, lengths and angles kept
    surface = inside & ~ndimage.binary_erosion(inside)
    corners = np.stack(np.meshgrid(*[(-0.5, 0.5)] * axes), axis=-1).reshape(-1, axes)
    points = np.unique((np.argwhere(surface)[:, None] + corners).reshape(-1, axes), axis=0) @ across.T
    with suppress(QhullError):  # a grid that is flat
        points = points[ConvexHull(points).vertices]
    return float(pdist(points).max())


def slice_axis(affine: Array) -> int:
    """The axis that slices are counted along: where the voxels are thickest, else the body's long axis.

    Args:
        affine: 4 x 4, voxel to RAS+ mm.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    thickest = int(np.argmax(spacing))
    if spacing[thickest] > _THICK * np.delete(spacing, thickest).max():
        return thickest
    return int(np.abs(affine[2, :3] / spacing).argmax())


def _side(x: float) -> Literal["left", "right", "middle"]:
    """`x`: mm to the patient's right."""
    if abs(x) < _MIDDLE_MM:
        return "middle"
    return "right" if x > 0 else "left"


def number_lesions(mask: Array, affine: Array, lesions: Sequence[Lesion]) -> Array:
    """Which voxel belongs to which lesion.

    Args:
        mask: `(i, j, k)`, above 0 where abnormal.
        affine: 4 x 4, voxel to RAS+ mm.
        lesions: of `find_lesions` for this mask.

    Returns:
        `(i, j, k)` uint16: the lesion's place in `lesions`, from 1; 0 elsewhere.

    Raises:
        ValueError: the mask has another number of connected parts than there are lesions.
    """
    parts, count = _parts(mask > 0)
    if count != len(lesions):
        msg = f"the mask has {count} connected parts, the finding {len(lesions)} lesions"
        raise ValueError(msg)
    numbers = np.zeros(count + 1, np.uint16)
    if count:
        centres = np.array(ndimage.center_of_mass(parts > 0, parts, range(1, count + 1)))
        places = centres @ affine[:3, :3].T + affine[:3, 3]
        far = np.linalg.norm(places[:, None] - np.array([lesion.centroid_mm for lesion in lesions]), axis=-1)
        voxel_ml = voxel_volume(affine, mask.shape)
        volumes = np.bincount(parts.ravel())[1:] * voxel_ml
        unlike = np.abs(volumes[:, None] - [lesion.volume_ml for lesion in lesions]) / voxel_ml
        part, lesion = linear_sum_assignment(far + unlike)
        numbers[part + 1] = lesion + 1
    return numbers[parts]


def _parts(inside: Array) -> tuple[Array, int]:
    """Connected parts (26-neighbourhood): numbers `(i, j, k)` and how many."""
    return ndimage.label(inside, structure=np.ones((3, 3, 3)))
