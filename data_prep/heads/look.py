"""Which MR sequence a head looks like, and whether its skull is there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import binary_fill_holes, distance_transform_edt

Array = np.ndarray
STEP_MM = 4.0  # a sequence shows in how bright tissue is, not in its detail
_AIR = 0.12  # of the 99th percentile: brighter is tissue
_DEPTHS = (0.0, 0.1, 0.25, 0.45, 0.7, 1.01)  # of the greatest depth below the surface
_PERCENTILES = (5, 25, 50, 75, 95)
_FEWEST = 200  # voxels of tissue below which nothing is said
_FITTED = Path(__file__).with_name("look.json")
CLASSES = ("flair", "skull")


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a head looks like.

    Args:
        flair: probability that it is a FLAIR.
        skull: probability that the skull is there.
    """

    flair: float
    skull: float


def look_of(array: Array, spacing: Sequence[float]) -> Look | None:
    """What a head looks like, by two logistic regressions on `features`; None where there is too little to see.

    They were fitted on heads made from label maps alone: `python -m pipelines.figures.look`.

    Args:
        array: `(i, j, k)`, background near 0.
        spacing: mm between voxels.
    """
    seen = features(array, spacing)
    if seen is None:
        return None
    return Look(**{name: _probability(seen, _fitted()[name]) for name in CLASSES})


def features(array: Array, spacing: Sequence[float]) -> Array | None:
    """How bright a head is at several depths below its surface, in units of its middle.

    Args:
        array: `(i, j, k)`, background near 0.
        spacing: mm between voxels.

    Returns:
        `(25,)`, percentiles from the outermost depth to the innermost; None where there is too little to see.
    """
    strides = [max(1, round(STEP_MM / step)) for step in spacing]
    small = np.asarray(array[tuple(slice(None, None, stride) for stride in strides)], dtype=np.float32)
    tissue = small > _AIR * np.percentile(small, 99)
    if tissue.sum() < _FEWEST:
        return None
    head = np.stack([binary_fill_holes(tissue[..., k]) for k in range(tissue.shape[2])], axis=-1)
    steps = [stride * step for stride, step in zip(strides, spacing, strict=True)]
    depth = distance_transform_edt(np.pad(head, 1), sampling=steps)[1:-1, 1:-1, 1:-1]
    depth = depth / max(float(depth.max()), 1e-6)
    middle = small[(depth > _DEPTHS[2]) & tissue]
    level = float(np.median(middle)) if middle.size else 0.0
    if level <= 0:
        return None
    zones = [small[(depth > low) & (depth <= high) & head] / level for low, high in pairwise(_DEPTHS)]
    values = [np.percentile(zone, _PERCENTILES) if zone.size else np.ones(len(_PERCENTILES)) for zone in zones]
    return np.log(np.clip(np.concatenate(values), 0.05, 5))


def _probability(seen: Array, fitted: Mapping[str, Any]) -> float:
    scaled = (seen - np.asarray(fitted["mean"])) / np.asarray(fitted["scale"])
    return float(1 / (1 + np.exp(-(scaled @ np.asarray(fitted["weights"]) + fitted["intercept"]))))


@lru_cache(maxsize=1)
def _fitted() -> dict[str, Any]:
    fitted: dict[str, Any] = json.loads(_FITTED.read_text(encoding="utf-8"))
    return fitted
