"""Patient bootstrap: intervals that know that a patient's voxels, slices and scans belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomaly.metrics.histogram import average_precision

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

    The part of all pairs of an abnormal and a healthy case in which the abnormal one scores higher, ties by half
    [Mann & Whitney 1947]: scikit-learn's value, for all resamples at once.

    Args:
        scores: `(cases,)`.
        truth: `(cases,)` bool.
        weights: `(resamples, cases)`.
    """
    ill, well = scores[truth][:, None], scores[~truth][None]
    wins = (ill > well) + 0.5 * (ill == well)
    of_ill, of_well = weights[:, truth].astype(np.float64), weights[:, ~truth].astype(np.float64)
    won = ((of_ill @ wins) * of_well).sum(axis=1)
    with np.errstate(invalid="ignore"):
        area: Array = won / (of_ill.sum(axis=1) * of_well.sum(axis=1))
    return area


def image_average_precision(scores: Array, truth: Array, weights: Array) -> Array:
    """Average precision of each resample; arguments as for `image_auroc`. It depends on how many are abnormal."""
    levels, at = np.unique(scores, return_inverse=True)
    which = np.zeros((len(scores), len(levels)))
    which[np.arange(len(scores)), at] = 1
    healthy, abnormal = (weights * ~truth) @ which, (weights * truth) @ which
    values: Array = average_precision(healthy, abnormal)
    return np.where(healthy.any(axis=1), values, np.nan)
