"""Lesions painted into a head: an irregular outline of exactly the wanted volume, with a soft edge."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from data_prep.demo.atlas import ORIGIN_MM, Atlas
from data_prep.demo.fields import sample, smooth_noise
from data_prep.demo.grid import Grid
from data_prep.demo.subject import Lesion, Subject

Array = np.ndarray
_REACH = 2.6  # radii around the centre that are looked at
_CORE = 0.3  # part of the lesion's volume that is its dark middle


def plant(
    picture: Array, lesion: Lesion, points: Array, *, atlas: Atlas, grid: Grid, subject: Subject, fluid: float
) -> Array:
    """Paint one lesion into `picture`, in place.

    Args:
        picture: `(columns, rows, slices)` float32, brain at 1.
        lesion: what to paint.
        points: `(3, columns, rows, slices)` MNI coordinates of the voxels, mm.
        atlas: keeps the lesion to the white matter for the most part, and inside the skull always.
        grid: of the picture.
        subject: whose size relates millimetres in the head to those in the template.
        fluid: intensity of a dark core.

    Returns:
        Its true mask, bool, of `lesion.volume_ml` to the nearest voxel.

    Raises:
        ValueError: the grid does not hold so large a lesion in this place.
    """
    radius = float(np.cbrt(lesion.volume_ml * 3000 / (4 * np.pi) / np.prod(subject.size)))
    box = _box(points, lesion, radius)
    inside = points[(slice(None), *box)]
    height, texture = _height(inside, lesion, radius, atlas)
    wanted = max(1, round(lesion.volume_ml / grid.voxel_ml))
    level, mask = _cut(height, wanted, lesion)
    near = ndimage.binary_dilation(mask, ndimage.generate_binary_structure(3, 2), iterations=2)
    opacity = near / (1 + np.exp(-np.clip((height - level) / lesion.softness, -30, 30)))
    value = lesion.level * (1 + 0.07 * texture)
    if lesion.kind == "core":
        deep = np.sort(height[mask])[-max(1, int(_CORE * mask.sum()))]
        middle = 1 / (1 + np.exp(-np.clip((height - deep) / (0.6 * lesion.softness), -30, 30)))
        value = value + middle * (1.4 * fluid - value)
    picture[box] += opacity * (value - picture[box])
    truth = np.zeros(picture.shape, dtype=bool)
    truth[box] = mask
    return truth


def _box(points: Array, lesion: Lesion, radius: float) -> tuple[slice, slice, slice]:
    """The voxels within reach of the lesion's centre."""
    offset = points - np.reshape(lesion.centre_mm, (3, 1, 1, 1))
    near = (np.abs(offset) < _REACH * radius * max(lesion.stretch)).all(axis=0)
    if not near.any():
        msg = f"no slice passes through the lesion at {np.round(lesion.centre_mm).tolist()} mm"
        raise ValueError(msg)
    box: tuple[slice, slice, slice] = ndimage.find_objects(near.astype(np.int8))[0]
    return box


def _height(points: Array, lesion: Lesion, radius: float, atlas: Atlas) -> tuple[Array, Array]:
    """A hill whose contour lines are outlines of the lesion, in radii, and noise of about its size."""
    rng = np.random.default_rng(lesion.seed)
    offset = (points - np.reshape(lesion.centre_mm, (3, 1, 1, 1))) / (radius * np.reshape(lesion.stretch, (3, 1, 1, 1)))
    rough = sum(
        weight * sample(lattice, (offset / (2 * _REACH) + 0.5) * (len(lattice) - 1))
        for weight, lattice in ((1.0, smooth_noise(rng, (9, 9, 9))[0]), (0.5, smooth_noise(rng, (17, 17, 17))[0]))
    )
    index = (points - np.reshape(ORIGIN_MM, (3, 1, 1, 1))) / atlas.step
    white, skull = sample(atlas.white, index), sample(atlas.skull_mm, index)
    height = 1 - np.sqrt((offset**2).sum(axis=0)) + 0.28 * rough + 0.5 * (white - 0.6)
    return np.where(skull < -3, height, -10.0), np.asarray(rough)


def _cut(height: Array, wanted: int, lesion: Lesion) -> tuple[float, Array]:
    """Level at which the hill's main part has `wanted` voxels, and that part."""
    possible = height > -9
    summit = np.unravel_index(height.argmax(), height.shape)
    if possible.sum() < wanted:
        msg = f"no room for {lesion.volume_ml} ml at {np.round(lesion.centre_mm).tolist()} mm"
        raise ValueError(msg)
    low, high = float(height[possible].min()), float(height.max())
    for _ in range(24):
        level = (low + high) / 2
        parts, _ = ndimage.label(height >= level)
        mask = parts == parts[summit]
        low, high = (level, high) if mask.sum() > wanted else (low, level)
    parts, _ = ndimage.label(height >= high)
    return high, parts == parts[summit]
