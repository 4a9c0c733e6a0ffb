"""Nyul's standardisation: the grey values of a cohort brought to one scale (Nyul and Udupa 1999; Nyul et al. 2000)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.transforms.body import head_mask

Array = np.ndarray
PERCENTILES = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)
TOP = 100.0  # of the standard scale, which starts at 0


def landmarks(array: Array) -> Array:
    """Percentiles of the intensities `(i, j, k)` within the head, or within what is not zero where there is none.

    Returns:
        `(11,)`, not falling.
    """
    inside = head_mask(array)
    values = array[inside] if inside.any() else array[array != 0]
    return np.percentile(values.astype(np.float64), PERCENTILES)


def standard_scale(cohort: Sequence[Array]) -> Array:
    """Mean landmarks of the training scans, each first stretched so that its ends are 0 and 100.

    Args:
        cohort: `landmarks` of each, at least one.

    Returns:
        `(11,)`, not falling.
    """
    stretched = [TOP * (marks - marks[0]) / max(marks[-1] - marks[0], 1e-12) for marks in cohort]
    scale: Array = np.mean(stretched, axis=0)
    return scale


def standardise(array: Array, marks: Array, scale: Array) -> Array:
    """Map intensities so that the scan's landmarks come to lie on the scale; beyond them along the last pieces.

    Args:
        array: `(i, j, k)`.
        marks: its `landmarks`.
        scale: of `standard_scale`.

    Returns:
        float32, same shape, order of intensities kept; air below the first landmark goes on downwards to 0 at least.
    """
    marks = marks + np.arange(len(marks)) * max(marks[-1] - marks[0], 1e-12) * 1e-9  # strictly rising
    mapped = np.interp(array, marks, scale)
    low, high = array < marks[0], array > marks[-1]
    first, last = (_slope(marks[pair], scale[pair]) for pair in ([0, 1], [-2, -1]))
    mapped[low] = np.maximum(scale[0] + (array[low] - marks[0]) * first, min(0.0, scale[0]))
    mapped[high] = scale[-1] + (array[high] - marks[-1]) * last
    return mapped.astype(np.float32)


def _slope(marks: Array, scale: Array) -> float:
    return float((scale[1] - scale[0]) / (marks[1] - marks[0]))
