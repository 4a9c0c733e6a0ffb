"""A scan of a made-up person: the same picture, to the bit, at every call."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data_prep.demo.atlas import ORIGIN_MM, load_atlas
from data_prep.demo.contrast import lesion_level, paint_head, subject_contrast
from data_prep.demo.deformation import template_points
from data_prep.demo.fields import nodes_for, resize, sample, smooth_noise
from data_prep.demo.grid import AXIAL_THICK, Grid
from data_prep.demo.planting import plant
from data_prep.demo.subject import Subject

Array = np.ndarray
_SUBSLICE_MM = 1.4  # a slice is the mean of samples at least this close
_TEXTURE_MM = 5.0
MAXIMUM = 4095  # 12 bits


@dataclass(frozen=True, eq=False)
class Scan:
    """What the scanner gives, and the truth.

    Args:
        array: `(columns, rows, slices)` uint16, 0 to `MAXIMUM`.
        mask: the same shape, uint8, 1 in a lesion.
        affine: 4 x 4 float64, voxel to RAS+ mm.
    """

    array: Array
    mask: Array
    affine: Array


def render(subject: Subject, grid: Grid = AXIAL_THICK, *, contrast: str = "flair") -> Scan:
    """Scan a person.

    Args:
        subject: who.
        grid: where and how finely.
        contrast: "flair" or "t1".

    Raises:
        ValueError: an unknown contrast, or a lesion that the grid does not hold.
    """
    atlas = load_atlas(1 if min(grid.spacing_mm) < 2 else 2)
    levels = subject_contrast(contrast, subject)
    subslices = max(1, round(grid.spacing_mm[2] / _SUBSLICE_MM))
    points = template_points(subject, grid, subslices)
    index = (points - np.float32(np.reshape(ORIGIN_MM, (3, 1, 1, 1)))) / np.float32(atlas.step)
    picture = _slices(sample(paint_head(atlas, levels, subject), index), subslices)
    mask = np.zeros(grid.shape, dtype=np.uint8)
    middle = template_points(subject, grid, 1) if subject.lesions else points
    for planned in subject.lesions:
        lesion = replace(planned, level=lesion_level(contrast, planned.level))
        mask |= plant(picture, lesion, middle, atlas=atlas, grid=grid, subject=subject, fluid=levels.csf)
    picture *= 1 + 0.03 * _texture(subject, grid)
    stored = np.rint(_acquire(picture, subject) * subject.level)
    return Scan(np.clip(stored, 0, MAXIMUM).astype(np.uint16), mask, grid.affine)


def _slices(samples: Array, subslices: int) -> Array:
    """Mean over the depth of each slice; `(i, j, k * subslices)` to `(i, j, k)`."""
    return np.asarray(np.mean([samples[:, :, depth::subslices] for depth in range(subslices)], axis=0))


def _texture(subject: Subject, grid: Grid) -> Array:
    """Smooth unevenness of all tissue, about unit variance."""
    rng = np.random.default_rng([subject.seed, 2])
    return resize(smooth_noise(rng, nodes_for(grid.extent_mm, _TEXTURE_MM))[0], grid.shape)


def _acquire(picture: Array, subject: Subject) -> Array:
    """Bias field of the coil and noise of the magnitude image (Gudbjartsson 1995), by MONAI."""
    from monai.transforms import RandBiasField, RandRicianNoise

    bias = RandBiasField(prob=1.0, degree=3, coeff_range=(-subject.bias, subject.bias))
    noise = RandRicianNoise(prob=1.0, mean=0.0, std=subject.noise, sample_std=False)
    bias.set_random_state(subject.seed)
    noise.set_random_state(subject.seed)
    return np.asarray(noise(bias(picture[None])))[0]
