"""Where a scan's voxels lie in the head: turned, mirrored, warped, aged, and thick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from data_prep.heads.fields import smooth_field
from data_prep.heads.head_map import HeadMap

Array = np.ndarray
SUBSLICES = 4  # samples across the thickness of a slice


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """The grid of a scan in a head.

    Args:
        size: voxels along right, front and up, in the scan's own axes.
        spacing: mm between voxels along the same axes.
        thickness: mm of a slice, along the last axis; other than its spacing where slices overlap or have gaps.
        centre: of the grid, in voxels of the label map.
        turn: radians about the map's axes.
        mirror: right for left.
        scale: of the head along the map's axes.
        warp: mm, amplitude of a smooth deformation.
        ventricles: part by which what is near the ventricles is enlarged, 0 or more.
        seed: of the deformation.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    thickness: float
    centre: tuple[float, float, float]
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mirror: bool = False
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    warp: float = 0.0
    ventricles: float = 0.0
    seed: int = 0


def rotation(turn: Sequence[float]) -> Array:
    """3 x 3, about the first, then the second, then the third axis."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(turn), np.sin(turn)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def places(geometry: Geometry, *, middle: Sequence[float], voxel: Sequence[float] = (1.0, 1.0, 1.0)) -> Array:
    """Where each sample lies in the label map.

    Args:
        geometry: of the scan.
        middle: of the ventricles, in voxels of the map.
        voxel: mm of a voxel of the map.

    Returns:
        `(3, i, j, k * SUBSLICES)` float32, in voxels of the map.
    """
    shape = (*geometry.size[:2], geometry.size[2] * SUBSLICES)
    steps = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(geometry.size, geometry.spacing, strict=True)]
    across = ((np.arange(SUBSLICES) + 0.5) / SUBSLICES - 0.5) * geometry.thickness
    steps[2] = (steps[2][:, None] + across).ravel()
    if geometry.mirror:
        steps[0] = -steps[0]
    matrix = rotation(geometry.turn) / np.asarray(geometry.scale)[:, None] / np.asarray(voxel)[:, None]
    matrix = matrix.astype(np.float32)
    where = np.empty((3, *shape), dtype=np.float32)
    x, y, z = np.ix_(*(step.astype(np.float32) for step in steps))
    for axis in range(3):
        where[axis] = (matrix[axis, 0] * x + matrix[axis, 1] * y) + (matrix[axis, 2] * z + geometry.centre[axis])
    if geometry.warp > 0:
        extent = np.array(geometry.size) * geometry.spacing
        knots = [int(np.clip(np.ceil(mm / 45) + 1, 3, 7)) for mm in extent]
        where += geometry.warp * smooth_field(geometry.seed, shape, knots=knots, channels=3)
    if geometry.ventricles > 0:
        _enlarge(where, middle, geometry.ventricles, voxel)
    return where


def _enlarge(where: Array, middle: Sequence[float], part: float, voxel: Sequence[float]) -> None:
    """Draw the samples near `middle` towards it, in place: what is there looks larger, and pushes the rest out."""
    width = np.array([22.0, 38.0, 22.0])  # mm; the ventricles' own proportions
    offset = [(where[axis] - np.float32(middle[axis])) for axis in range(3)]
    distance = sum((offset[axis] * np.float32(voxel[axis] / width[axis])) ** 2 for axis in range(3))
    pull = np.float32(part) * np.exp(-0.5 * np.asarray(distance, dtype=np.float32))
    for axis in range(3):
        where[axis] -= pull * offset[axis]


def draw_slab(
    rng: Generator,
    head: HeadMap,
    *,
    size: tuple[int, int, int],
    pixel: tuple[float, float],
    slices: tuple[float, float],
) -> Geometry:
    """A slab of `size` voxels somewhere in the brain or below it; millimetres between voxels from the two ranges."""
    low, high = (np.array(corner, dtype=float) for corner in head.brain_box)
    tall = (high[2] - low[2]) * rng.uniform(-0.55, 0.5)
    offset = np.array([rng.normal(0, 20) / head.spacing[0], rng.normal(0, 26) / head.spacing[1], tall])
    return _draw(rng, (low + high) / 2 + offset, size=size, spacing=_spacing(rng, pixel, slices))


def draw_whole(rng: Generator, head: HeadMap, *, pixel: tuple[float, float], slices: tuple[float, float]) -> Geometry:
    """All of the brain and the head beside it, and a part of what is below."""
    spacing = _spacing(rng, pixel, slices)
    (low, high), (left, right) = head.brain_box, head.head_box
    below = min(rng.uniform(10, 50), (low[2] - left[2]) * head.spacing[2])
    above = (right[2] - high[2]) * head.spacing[2] + rng.uniform(0, 8)
    tall = (high[2] - low[2]) * head.spacing[2] * 1.1
    wide = [(right[axis] - left[axis]) * head.spacing[axis] * 1.1 + 10 for axis in range(2)]
    extent = (*wide, below + tall + above)
    size = tuple(max(2, int(np.ceil(mm / step))) for mm, step in zip(extent, spacing, strict=True))
    centre = np.array([(left[axis] + right[axis]) / 2 for axis in range(3)])
    centre[2] = (low[2] + high[2]) / 2 + (above - below) / 2 / head.spacing[2]
    return _draw(rng, centre, size=(size[0], size[1], size[2]), spacing=spacing)


def _draw(
    rng: Generator, centre: Array, *, size: tuple[int, int, int], spacing: tuple[float, float, float]
) -> Geometry:
    thicker = rng.uniform(0.7, 1.0) if rng.random() < 0.75 else rng.uniform(1.0, 2.0)
    turn = rng.normal(0, [0.12, 0.06, 0.15])
    x, y, z = rng.uniform(0.9, 1.12, 3)
    return Geometry(
        size=size,
        spacing=spacing,
        thickness=float(spacing[2] * thicker),
        centre=(float(centre[0]), float(centre[1]), float(centre[2])),
        turn=(float(turn[0]), float(turn[1]), float(turn[2])),
        mirror=bool(rng.random() < 0.5),
        scale=(float(x), float(y), float(z)),
        warp=float(rng.uniform(0, 4.0)),
        ventricles=float(rng.uniform(0, 0.45)) if rng.random() < 0.5 else 0.0,
        seed=int(rng.integers(2**31)),
    )


def _spacing(rng: Generator, pixel: tuple[float, float], slices: tuple[float, float]) -> tuple[float, float, float]:
    step = float(rng.uniform(*pixel))
    return step, step, float(rng.uniform(*slices))
