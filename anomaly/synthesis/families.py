"""Families of anomalies: what happens to the image inside a shape.

Each family is a function of the healthy image `(*spatial)` in [0, 1], the soft mask `(*spatial)` and a seeded
generator; it returns the abnormal image. `shift`, `plateau` and `scattered` also take `darker`, the part of the draws
that darken instead of brighten. How bright a lesion gets is drawn between the tissue under it and the
brightest of the image: oedema in a FLAIR head is about twice as bright as brain, an infarct in a late-enhancement
heart five times as bright as nulled muscle, and one range serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from pietorch import blend_dst_numpy
from scipy.ndimage import find_objects, gaussian_filter, map_coordinates

from anomaly.synthesis.shapes import ShapeDrawer, draw_lining, draw_scatter, draw_shape, smooth_noise

Array = np.ndarray
Family = Callable[..., Array]
DARKER = 0.25  # part of the draws of `shift` and `plateau` that darken, where nothing else is asked for


def shift(image: Array, mask: Array, rng: Generator, *, darker: float = DARKER) -> Array:
    """Brighter or darker by a smooth, textured amount; anatomy stays visible [Baugh 2023, intensity tasks]."""
    level = _level(image, mask)
    strength = (_brighter(image, level, rng) if rng.random() < 1 - darker else level * rng.uniform(0.2, 0.75)) - level
    texture = 1 + rng.uniform(0, 0.6) * smooth_noise(rng, image.shape, grain=rng.uniform(2, 10))
    return image + mask * strength * texture


def plateau(image: Array, mask: Array, rng: Generator, *, darker: float = DARKER) -> Array:
    """A tissue of its own value that hides the anatomy, as an infiltrating tumour or oedema does."""
    level = _level(image, mask)
    level = _brighter(image, level, rng) if rng.random() < 1 - darker else level * rng.uniform(0.2, 0.8)
    texture = rng.uniform(0, 0.12) * smooth_noise(rng, image.shape, grain=rng.uniform(2, 12))
    detail = rng.uniform(0, 0.8) * (image - _blur(image, 2.0))
    opacity = mask * rng.uniform(0.5, 1.0)
    return (1 - opacity) * image + opacity * (level + texture + detail)


def cored(image: Array, mask: Array, rng: Generator) -> Array:
    """A bright rim around a dark or intermediate core, as necrosis and cysts show."""
    bright = _brighter(image, _level(image, mask), rng)
    core = np.clip((gaussian_filter(mask, _sigma(image, 2.0)) - rng.uniform(0.6, 0.85)) * 8, 0, 1)
    dark = bright * rng.uniform(0.1, 0.7)
    texture = rng.uniform(0, 0.1) * smooth_noise(rng, image.shape, grain=rng.uniform(2, 8))
    return (1 - mask) * image + mask * ((1 - core) * bright + core * dark + texture)


def foreign(image: Array, mask: Array, rng: Generator) -> Array:
    """A patch of another place, linearly interpolated [Tan 2020, foreign patch interpolation]."""
    alpha = mask * rng.uniform(0.4, 1.0)
    return (1 - alpha) * image + alpha * _elsewhere(image, rng) * rng.uniform(0.7, 1.6)


def poisson(image: Array, mask: Array, rng: Generator) -> Array:
    """A patch of another place without a seam: its gradients are kept, its level comes from the surroundings.

    Poisson image editing [Perez 2003; Tan 2021, Poisson image interpolation] slice by slice, by the discrete sine
    transform of pie-torch.
    """
    box = _box(mask > 0.05)[:2]
    source = _elsewhere(image, rng)[box] * rng.uniform(0.8, 1.8)
    opacity, mixed = rng.uniform(0.6, 1.0), rng.random() < 0.5
    inside = (mask[box] > 0.35) * opacity
    result = image.astype(np.float64)
    corner = np.array([part.start for part in box])
    for index in np.ndindex(image.shape[2:]):
        here = (slice(None), slice(None), *index)
        if inside[here].any():
            result[here] = blend_dst_numpy(result[here], source[here], inside[here], corner, mix_gradients=mixed)
    return image + np.clip(mask / 0.35, 0, 1) * (result - image)  # what the solver moved outside stays as it was


def swap(image: Array, mask: Array, rng: Generator) -> Array:
    """The fine structure of another place on this place's own smooth brightness: texture swapped, level kept."""
    other, width = _elsewhere(image, rng), rng.uniform(1.5, 4.0)
    detail = (other - _blur(other, width)) * rng.uniform(1.0, 2.5)
    return (1 - mask) * image + mask * (_blur(image, width) + detail)


def scattered(image: Array, mask: Array, rng: Generator, *, darker: float = 0.2) -> Array:
    """Many small spots of one brightness, as demyelination and small-vessel disease show."""
    level = _level(image, mask)
    level = _brighter(image, level, rng) if rng.random() < 1 - darker else level * rng.uniform(0.2, 0.7)
    opacity = mask * rng.uniform(0.6, 1.0)
    return (1 - opacity) * image + opacity * level


def lining(image: Array, mask: Array, rng: Generator) -> Array:
    """A brighter layer that hides the anatomy, as an infarct beneath the endocardium does."""
    level = _brighter(image, _level(image, mask), rng)
    texture = rng.uniform(0, 0.12) * smooth_noise(rng, image.shape, grain=rng.uniform(2, 12))
    opacity = mask * rng.uniform(0.6, 1.0)
    return (1 - opacity) * image + opacity * (level + texture)


def blur(image: Array, mask: Array, rng: Generator) -> Array:
    """Structure wiped out, the mean kept (or a little raised)."""
    return (1 - mask) * image + mask * _blur(image, rng.uniform(2.0, 5.0)) * rng.uniform(0.9, 1.3)


def coarse_noise(image: Array, mask: Array, rng: Generator) -> Array:
    """Coarse Gaussian noise [Kascenas 2022, denoising autoencoder]."""
    return image + mask * rng.uniform(0.15, 0.5) * smooth_noise(rng, image.shape, grain=rng.uniform(3, 14))


def displace(image: Array, mask: Array, rng: Generator) -> Array:
    """Tissue pushed from, or drawn to, the middle of the shape [Baugh 2023, sink and source]."""
    weights = mask / max(float(mask.sum()), 1e-6)
    grid = np.indices(image.shape, dtype=np.float32)
    centre = [float((axis * weights).sum()) for axis in grid]
    strength = rng.uniform(0.3, 0.75) * (1 if rng.random() < 0.5 else -1)
    for axis in range(2):
        grid[axis] -= strength * mask * (grid[axis] - centre[axis])
    return map_coordinates(image, grid, order=1, mode="nearest")


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        f.__name__: f
        for f in (shift, plateau, cored, foreign, poisson, blur, swap, coarse_noise, displace, scattered, lining)
    }
)
EITHER = frozenset({"shift", "plateau", "scattered"})
"""The families that take `darker`."""
SHAPES: Mapping[str, ShapeDrawer] = MappingProxyType(
    {**dict.fromkeys(FAMILIES, draw_shape), "scattered": draw_scatter, "lining": draw_lining}
)


def _level(image: Array, mask: Array) -> float:
    """The median of the healthy image under the mask."""
    inside = image[mask > 0.5]
    return float(np.median(inside)) if inside.size else 0.35


def _brighter(image: Array, level: float, rng: Generator) -> float:
    """A value between `level` and the brightest of the image, or 2.2 times `level` where nothing is as bright."""
    top = max(float(np.quantile(image, 0.99)), 2.2 * level)
    return level + rng.uniform(0.2, 1.0) * (top - level)


def _sigma(image: Array, in_plane: float) -> tuple[float, ...]:
    """A Gaussian's widths in voxels, a third along the last of three axes."""
    return (in_plane, in_plane, in_plane / 3)[: image.ndim]


def _blur(image: Array, in_plane: float) -> Array:
    return gaussian_filter(image, _sigma(image, in_plane))


def _elsewhere(image: Array, rng: Generator) -> Array:
    """The image rolled by a good part of its width, and perhaps flipped, in-plane."""
    offsets = [int(rng.integers(n // 6, n - n // 6)) for n in image.shape[:2]]
    other = np.roll(image, offsets, axis=(0, 1))
    for axis in range(2):
        other = np.flip(other, axis) if rng.random() < 0.5 else other
    return other


def _box(inside: Array) -> tuple[slice, ...]:
    """The bounding box of `inside` with two voxels around it where there is room; everything where it is empty."""
    found = find_objects(inside.astype(np.uint8))
    box = found[0] if found else tuple(slice(0, size) for size in inside.shape)
    return tuple(
        slice(max(0, part.start - 2), min(size, part.stop + 2)) for part, size in zip(box, inside.shape, strict=True)
    )
