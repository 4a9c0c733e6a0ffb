"""Patient bootstrap: intervals that know that a patient's voxels, slices and scans belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

Array = np.ndarray


def resample_patients(patients: Sequence[str], *, resamples: int = 1000, seed: int = 0) -> Array:
    """How often each case was drawn, `(resamples, cases)`; the cases of one patient are drawn together.

    Raises:
        ValueError: there is no case.
    """
    if not patients:
        msg = "a bootstrap needs at least one case, got none"
        raise ValueError(msg)
    names, owner = np.unique(np.asarray(patients), return_inverse=True)
    rng = np.random.default_rng(seed)
    draws: Array = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return draws[:, owner]


def interval(values: Array, *, level: float = 0.95) -> tuple[float, float] | None:
    """The percentile interval of a bootstrap, without the resamples in which nothing was defined; None: in none."""
    defined = values[np.isfinite(values)]
    if defined.size == 0:
        return None
    low, high = np.percentile(defined, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def image_auroc(scores: Array, truth: Array, weights: Array) -> Array:
    """Area under the ROC curve of each resample, `(resamples,)`; nan where it has only one class.

    Args:
        scores: `(cases,)`.
        truth: `(cases,)` bool.
        weights: `(resamples, cases)`.
    """
    return _each(roc_auc_score, scores, truth, weights)


def image_average_precision(scores: Array, truth: Array, weights: Array) -> Array:
    """Average precision of each resample; arguments as for `image_auroc`. It depends on how many are abnormal."""
    return _each(average_precision_score, scores, truth, weights)


def _each(metric: object, scores: Array, truth: Array, weights: Array) -> Array:
    assert callable(metric)
    values = np.full(len(weights), np.nan)
    for row, weight in enumerate(weights):
        drawn = weight > 0
        if truth[drawn].any() and not truth[drawn].all():
            values[row] = metric(truth[drawn], scores[drawn], sample_weight=weight[drawn])
    return values
