"""Random lesion shapes: soft masks of warped ellipsoid unions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy.ndimage import binary_fill_holes, distance_transform_edt, zoom
from skimage.morphology import isotropic_closing, isotropic_opening

Array = np.ndarray
OTHER_SLICE = 1000.0  # a slice's distance from the next where a morphology is to stay in-plane


@dataclass(frozen=True, kw_only=True)
class Ellipsoid:
    """One lobe of a shape: centre and semi-axes in voxels, in-plane rotation in radians."""

    centre: tuple[float, ...]
    radii: tuple[float, ...]
    angle: float


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A replayable shape: lobes, and the smooth noise that makes its outline irregular.

    Args:
        lobes: at least one ellipsoid.
        roughness: amplitude of the outline's noise, as a part of the radius.
        grain: size of that noise in voxels, in-plane.
        softness: width of the edge, as a part of the radius.
        seed: of the noise.
        depth: of the layer along the region's inner border that it keeps to, in voxels; 0: it keeps to none.
    """

    lobes: tuple[Ellipsoid, ...]
    roughness: float
    grain: float
    softness: float
    seed: int
    depth: float = 0.0


ShapeDrawer = Callable[..., Shape]


def draw_shape(
    rng: Generator, region: Array, *, radius: tuple[float, float], slice_ratio: tuple[float, float]
) -> Shape:
    """Draw a shape whose first lobe is centred in `region`.

    Args:
        rng: source of randomness.
        region: `(*spatial)` bool, where the centre may lie; the whole grid if it is empty.
        radius: smallest and largest in-plane semi-axis in voxels; drawn log-uniformly.
        slice_ratio: range of the semi-axis along the last axis over the in-plane one (thick slices: below 1).
    """
    places = np.argwhere(region)
    spatial = np.array(region.shape)
    centre = places[rng.integers(len(places))] if len(places) else spatial // 2
    size = float(np.exp(rng.uniform(*np.log(radius))))
    lobes = []
    for _ in range(rng.integers(1, 5)):
        radii = size * rng.uniform(0.5, 1.0, size=region.ndim)
        if region.ndim == 3:
            radii[2] = max(0.6, radii[:2].mean() * rng.uniform(*slice_ratio))
        lobes.append(Ellipsoid(centre=tuple(centre), radii=tuple(radii), angle=rng.uniform(0, np.pi)))
        centre = lobes[0].centre + rng.normal(size=region.ndim) * np.array(lobes[0].radii) * 0.7
    return Shape(
        lobes=tuple(lobes),
        roughness=rng.uniform(0.0, 0.8),
        grain=rng.uniform(0.25, 1.0) * size + 2,
        softness=rng.uniform(0.05, 0.7),
        seed=int(rng.integers(2**31)),
    )


def draw_scatter(
    rng: Generator, region: Array, *, radius: tuple[float, float], slice_ratio: tuple[float, float]
) -> Shape:
    """Draw 4 to 15 spots apart from each other, each a third of `radius` in size and at least 1.5 voxels.

    Arguments as for `draw_shape`; `radius` is that of the cluster's usual lesion, so that one setting serves all
    families.
    """
    places = np.argwhere(region)
    spatial = np.array(region.shape)
    centre = places[rng.integers(len(places))] if len(places) else spatial // 2
    near = places[np.abs(places - centre)[:, :2].max(axis=1) <= 3 * radius[1]] if len(places) else centre[None]
    lobes = []
    for _ in range(rng.integers(4, 16)):
        size = max(1.5, float(np.exp(rng.uniform(*np.log(radius)))) / 3)
        radii = size * rng.uniform(0.6, 1.2, size=region.ndim)
        if region.ndim == 3:
            radii[2] = max(0.6, radii[:2].mean() * rng.uniform(*slice_ratio))
        lobes.append(
            Ellipsoid(centre=tuple(near[rng.integers(len(near))]), radii=tuple(radii), angle=rng.uniform(0, np.pi))
        )
    return Shape(
        lobes=tuple(lobes),
        roughness=rng.uniform(0.0, 0.3),
        grain=3.0,
        softness=rng.uniform(0.2, 0.8),
        seed=int(rng.integers(2**31)),
    )


def draw_lining(
    rng: Generator, region: Array, *, radius: tuple[float, float], slice_ratio: tuple[float, float]
) -> Shape:
    """Draw a layer along what the region encloses, as the heart's muscle does its blood.

    Arguments as for `draw_shape`, which draws where the region encloses nothing. Of the largest `radius`, the layer is
    0.15 to 0.55 deep, and its lobes have 0.5 to 1.5.
    """
    depth = max(1.5, rng.uniform(0.15, 0.55) * radius[1])
    near = region & (to_enclosed(region) <= depth)
    wide = (0.5 * radius[1], 1.5 * radius[1])
    shape = draw_shape(rng, near if near.any() else region, radius=wide, slice_ratio=slice_ratio)
    return replace(shape, depth=depth) if near.any() else shape


def to_enclosed(region: Array) -> Array:
    """How many voxels it is to what the region encloses in the same slice, `(*spatial)` float; far where it is nothing.

    Gaps of the region of up to four voxels do not open it, and holes narrower than three are none.
    """
    spacing = (1.0, 1.0, OTHER_SLICE)[: region.ndim]
    margin = [(4, 4), (4, 4), (0, 0)][: region.ndim]
    wide = np.pad(region, margin)
    closed = wide | isotropic_closing(wide, 2, spacing=spacing)
    slices = np.moveaxis(closed, -1, 0) if region.ndim == 3 else closed[None]
    filled = np.stack([binary_fill_holes(one) for one in slices])
    filled = np.moveaxis(filled, 0, -1) if region.ndim == 3 else filled[0]
    holes = isotropic_opening(filled & ~wide, 1.5, spacing=spacing)[4:-4, 4:-4]
    if not holes.any():
        return np.full(region.shape, OTHER_SLICE)
    return np.asarray(distance_transform_edt(~holes, sampling=spacing))


def render_shape(shape: Shape, spatial: Sequence[int]) -> Array:
    """The soft mask of `shape`, `(*spatial)` float32 in [0, 1]."""
    depth = np.full(spatial, -np.inf, dtype=np.float32)
    grid = np.indices(spatial, sparse=True, dtype=np.float32)
    for lobe in shape.lobes:
        u, v = grid[0] - lobe.centre[0], grid[1] - lobe.centre[1]
        cos, sin = np.cos(lobe.angle), np.sin(lobe.angle)
        squared = ((cos * u + sin * v) / lobe.radii[0]) ** 2 + ((cos * v - sin * u) / lobe.radii[1]) ** 2
        for axis in range(2, len(spatial)):
            squared = squared + ((grid[axis] - lobe.centre[axis]) / lobe.radii[axis]) ** 2
        np.maximum(depth, 1 - np.sqrt(squared), out=depth)
    noise = smooth_noise(np.random.default_rng(shape.seed), spatial, grain=shape.grain)
    depth += shape.roughness * noise * (depth > -1.5)
    return np.clip(0.5 + depth / max(shape.softness, 1e-3), 0, 1).astype(np.float32)


def smooth_noise(rng: Generator, spatial: Sequence[int], *, grain: float) -> Array:
    """Smooth noise of about unit range, `(*spatial)` float32: a coarse normal grid, linearly interpolated.

    Args:
        rng: source of randomness.
        spatial: shape of the result.
        grain: voxels between the coarse grid's points, in-plane; a third of it (at least 1) along the last of
            three axes, whose voxels are taller.
    """
    steps = [grain, grain, max(1.0, grain / 3)][: len(spatial)]
    coarse = [max(2, round(size / step) + 1) for size, step in zip(spatial, steps, strict=True)]
    noise = rng.normal(size=coarse).astype(np.float32) * 0.5
    return zoom(
        noise, [size / n for size, n in zip(spatial, coarse, strict=True)], order=1, grid_mode=True, mode="nearest"
    )
