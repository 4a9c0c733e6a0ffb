"""Histograms of scores in [0, 1], from which pooled voxel metrics follow without keeping the voxels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray
BINS = 8192


@dataclass
class ScoreHistogram:
    """Counts of healthy and abnormal voxels by score.

    Scores are rounded down to multiples of 1 / `BINS`; every metric is exact for the rounded scores. Histograms
    add up, so a cohort's is the sum of its cases', and a patient bootstrap needs only sums.
    """

    healthy: Array = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    abnormal: Array = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))

    def add(self, scores: ArrayLike, truth: ArrayLike | None = None) -> ScoreHistogram:
        """Count voxels.

        Args:
            scores: any shape, in [0, 1].
            truth: same shape, abnormal where above 0; None: all healthy.

        Returns:
            Itself.

        Raises:
            ValueError: the shapes differ, or a score is not in [0, 1].
        """
        values = np.asarray(scores, dtype=np.float32).ravel()
        labels = np.zeros(values.size, dtype=bool) if truth is None else np.asarray(truth).ravel() > 0
        if labels.size != values.size:
            msg = f"{values.size} scores but {labels.size} labels"
            raise ValueError(msg)
        if values.size and not (values.min() >= 0 and values.max() <= 1):
            msg = f"scores must lie in [0, 1], got {values.min()} to {values.max()}"
            raise ValueError(msg)
        bins = np.minimum((values * BINS).astype(np.int64), BINS - 1)
        total = np.bincount(bins, minlength=BINS)
        abnormal = np.bincount(bins[labels], minlength=BINS)
        self.abnormal += abnormal
        self.healthy += total - abnormal
        return self

    def __add__(self, other: ScoreHistogram) -> ScoreHistogram:
        return ScoreHistogram(self.healthy + other.healthy, self.abnormal + other.abnormal)

    def average_precision(self) -> float:
        """Area under the precision-recall curve as a step function, as scikit-learn's; nan with no abnormal voxel."""
        return float(average_precision(self.healthy, self.abnormal))

    def best_dice(self) -> tuple[float, float]:
        """The largest pooled Dice over all thresholds, and its threshold. An oracle: it looks at the labels."""
        dice = dice_curve(self.healthy, self.abnormal)
        best = int(np.nanargmax(dice)) if np.isfinite(dice).any() else 0
        return float(dice[best]), best / BINS

    def dice(self, threshold: float) -> float:
        """Pooled Dice of `score >= threshold`; `threshold` is rounded up to a bin."""
        return float(dice_curve(self.healthy, self.abnormal)[min(int(np.ceil(threshold * BINS)), BINS - 1)])

    def quantile(self, q: float) -> float:
        """The smallest threshold that at most a part `1 - q` of the healthy voxels reaches."""
        above = _at_least(self.healthy) / max(self.healthy.sum(), 1)
        reached = np.flatnonzero(above <= 1 - q)
        return float(reached[0] / BINS) if reached.size else 1.0


def average_precision(healthy: Array, abnormal: Array) -> Any:
    """Average precision along the last axis of `(..., BINS)` counts; nan without abnormal voxels."""
    true, false = _at_least(abnormal), _at_least(healthy)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = true / np.maximum(true + false, 1)
        return (precision * abnormal).sum(axis=-1) / true[..., 0]


def dice_curve(healthy: Array, abnormal: Array) -> Array:
    """Dice of `score >= bin / BINS` for every bin, along the last axis of `(..., BINS)` counts."""
    true, false = _at_least(abnormal), _at_least(healthy)
    with np.errstate(invalid="ignore", divide="ignore"):
        curve: Array = 2 * true / (true + false + true[..., :1])
    return curve


def _at_least(counts: Array) -> Array:
    """How many lie in a bin or above it."""
    sums: Array = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1]
    return sums
