"""Per-region overlap: how much of each lesion a threshold finds, and at how many false voxels (AUPRO)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from anomaly.metrics.histogram import BINS, ScoreHistogram

Array = np.ndarray


@dataclass
class RegionOverlap:
    """The overlap with each true region, summed, for every threshold `bin / BINS`.

    Every region counts once, however large: pooled voxel metrics follow the largest lesion, this does not. Sums of
    two are those of both cohorts, so a patient bootstrap needs only sums, and memory does not grow with the voxels.
    """

    overlap: Array = field(default_factory=lambda: np.zeros(BINS))
    regions: int = 0

    def add(self, scores: ArrayLike, truth: ArrayLike) -> RegionOverlap:
        """Add the regions (parts connected by a face, an edge or a corner) of one case.

        Args:
            scores: `(*spatial)` in [0, 1].
            truth: same shape, abnormal where above 0.

        Returns:
            Itself.

        Raises:
            ValueError: the shapes differ.
        """
        values, mask = np.asarray(scores), np.asarray(truth) > 0
        if values.shape != mask.shape:
            msg = f"scores of {values.shape} but truth of {mask.shape}"
            raise ValueError(msg)
        parts, count = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
        for index, box in enumerate(ndimage.find_objects(parts, max_label=count), start=1):
            inside = values[box][parts[box] == index]
            counts = ScoreHistogram().add(inside, np.ones(inside.size)).abnormal
            self.overlap += np.cumsum(counts[::-1])[::-1] / inside.size
        self.regions += count
        return self

    def __add__(self, other: RegionOverlap) -> RegionOverlap:
        return RegionOverlap(self.overlap + other.overlap, self.regions + other.regions)


def aupro(healthy: Array, overlap: Array, regions: Any, *, limit: float = 0.3) -> float:
    r"""Area under the per-region overlap, up to a false-positive rate [Bergmann 2021, IJCV 129, eq. 2].

    $\frac{1}{l} \int_0^l PRO(FPR)\,dFPR$ by the trapezoid rule, from the point (0, 0) on; at `limit` the curve is
    interpolated.

    Args:
        healthy: `(BINS,)` counts of healthy voxels.
        overlap: `(BINS,)`, see `RegionOverlap`.
        regions: how many regions the overlap is the sum of.
        limit: the largest false-positive rate, in (0, 1].

    Returns:
        In [0, 1]; nan without a region or without a healthy voxel.

    Raises:
        ValueError: `limit` is not in (0, 1].
    """
    if not 0 < limit <= 1:
        msg = f"limit must be in (0, 1], got {limit}"
        raise ValueError(msg)
    total = healthy.sum()
    if regions == 0 or total == 0:
        return float("nan")
    rate = np.concatenate([[0.0], np.cumsum(healthy[::-1]) / total])
    found = np.concatenate([[0.0], overlap[::-1] / regions])
    inside = rate <= limit
    rates = np.append(rate[inside], limit)
    curve = np.append(found[inside], _at(limit, rate, found))
    return float(np.trapezoid(curve, rates) / limit)


def _at(limit: float, rate: Array, found: Array) -> float:
    """The overlap where the rate is `limit`, between the last point before it and the first beyond it."""
    last = int(np.searchsorted(rate, limit, side="right")) - 1
    if last + 1 == rate.size:
        return float(found[-1])
    part = (limit - rate[last]) / (rate[last + 1] - rate[last])
    return float(found[last] + part * (found[last + 1] - found[last]))
