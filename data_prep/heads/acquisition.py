"""What a scanner does to a picture: blur, shading, ghosts, motion, noise, gamma, clipping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter, uniform_filter1d

from data_prep.heads.fields import smooth_field

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """One scan's imperfections.

    Args:
        blur: in-plane point spread, standard deviation in voxels.
        smear: axis along which voxels are longer than the grid's, and by how many of the grid's; (0, 1.0): none.
        shading: amplitude of a smooth log-normal bias.
        coil: steepness of a surface coil's falling off, 0: none; and the direction that it lies in.
        ghost: part of the picture that is repeated along an axis, the shift in parts of the field, the axis.
        motion: part of the picture that is displaced, and by how many voxels.
        noise: standard deviation, in parts of the brain's brightness.
        gamma: exponent of a display curve.
        clip: brightness in units of the brain's above which values are cut; 0: none.
        seed: of fields and noise.
    """

    blur: float = 0.0
    smear: tuple[int, float] = (0, 1.0)
    shading: float = 0.0
    coil: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 0.0)
    ghost: tuple[float, float, int] = (0.0, 0.5, 0)
    motion: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0
    gamma: float = 1.0
    clip: float = 0.0
    seed: int = 0


def draw_acquisition(rng: Generator) -> Acquisition:
    """Draw one scan's imperfections; most scans have few of them."""

    def sometimes(prob: float, value: float) -> float:
        return float(value) if rng.random() < prob else 0.0

    direction = rng.normal(size=3)
    x, y, z = (float(part) for part in direction / np.linalg.norm(direction))
    smear = (int(rng.integers(2)), float(rng.uniform(1.5, 4.0))) if rng.random() < 0.12 else (0, 1.0)
    return Acquisition(
        blur=float(rng.uniform(0.25, 0.9)),
        smear=smear,
        shading=sometimes(0.75, rng.uniform(0.0, 0.35)),
        coil=(sometimes(0.25, rng.uniform(0.2, 1.0)), x, y, z),
        ghost=(sometimes(0.15, rng.uniform(0.02, 0.12)), float(rng.choice([0.25, 0.5, 0.33])), int(rng.integers(2))),
        motion=(sometimes(0.15, rng.uniform(0.1, 0.4)), float(rng.uniform(0.5, 2.5))),
        noise=float(rng.uniform(0.005, 0.06) if rng.random() < 0.85 else rng.uniform(0.06, 0.12)),
        gamma=float(rng.uniform(0.75, 1.35)) if rng.random() < 0.5 else 1.0,
        clip=sometimes(0.2, rng.uniform(1.6, 2.8)),
        seed=int(rng.integers(2**31)),
    )


def acquire(image: Array, acquisition: Acquisition, *, head: Array | None = None) -> Array:
    """Take a picture of `image`, `(i, j, k)` with the brain at about 1, and return the picture, same shape.

    Args:
        image: without noise.
        acquisition: how.
        head: outside of it everything is 0 in the end, `(i, j, k)` bool; None: the air has noise.
    """
    rng = np.random.default_rng(acquisition.seed)
    axis, longer = acquisition.smear
    if longer > 1:
        image = uniform_filter1d(image, max(2, round(longer)), axis=axis, mode="nearest")
    image = gaussian_filter(image, (acquisition.blur, acquisition.blur, 0))
    image = image * bias(acquisition, image.shape)
    image = _moved(image, acquisition)
    if acquisition.gamma != 1.0:
        image = np.clip(image, 0, None) ** acquisition.gamma
    noise = acquisition.noise * rng.standard_normal((2, *image.shape), dtype=np.float32)
    image = np.sqrt((image + noise[0]) ** 2 + noise[1] ** 2)  # Rician
    if acquisition.clip:
        image = np.minimum(image, acquisition.clip)
    return image if head is None else image * head


def bias(acquisition: Acquisition, shape: tuple[int, ...]) -> Array:
    """By what the picture is multiplied, `(i, j, k)` float32, about 1 in the middle."""
    field = np.zeros(shape, dtype=np.float32)
    if acquisition.shading:
        field += acquisition.shading * smooth_field(acquisition.seed, shape, knots=(3, 3, 3))[0]
    steepness, *direction = acquisition.coil
    if steepness:
        ramps = np.ix_(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape))
        along = sum(part * ramp for part, ramp in zip(direction, ramps, strict=True))
        field += np.float32(steepness) * (np.exp(np.asarray(along, dtype=np.float32)) - 1.0) / 1.7
    return np.exp(field)


def _moved(image: Array, acquisition: Acquisition) -> Array:
    part, shift, axis = acquisition.ghost
    if part:
        image = image + part * np.roll(image, round(shift * image.shape[axis]), axis=axis)
    part, voxels = acquisition.motion
    if part:
        steps = max(1, round(voxels))
        image = (1 - part) * image + part * 0.5 * (np.roll(image, steps, axis) + np.roll(image, -steps, axis))
    return image
