"""What a cohort's cases add up to, for every resample of a patient bootstrap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anomaly.metrics.bootstrap import image_auroc, image_average_precision
from anomaly.metrics.froc import Detections, detect, sensitivity_at
from anomaly.metrics.histogram import ScoreHistogram, average_precision, dice_curve
from anomaly.metrics.regions import RegionOverlap, aupro

Array = np.ndarray
OF_PLACES = ("voxel_ap", "best_dice", "aupro", "dice_at_threshold", "lesion_sensitivity")
"""Statistics that need masks."""
_CHUNK = 64  # resamples at once, which bounds the memory


@dataclass(frozen=True, kw_only=True)
class CaseMeasures:
    """All that the statistics of a cohort need of one case; its size does not depend on the case's.

    Args:
        case: its name.
        patient: whose it is.
        score: image level.
        alarm: is the case called abnormal at the calibrated threshold?
        histogram: of the scores in the body, and of the lesions wherever they are.
        regions: the overlap with its lesions.
        detections: what the peaks hit.
        voxels: of the mask at the calibrated threshold: hit, in the mask, in the lesions.
        box_score: the score of the organ's box; None: there is no box.
        abnormal: is the case known to be abnormal without a mask that says where? It counts in what is said of cases,
            and in nothing that is said of voxels and lesions.
    """

    case: str
    patient: str
    score: float
    alarm: bool
    histogram: ScoreHistogram
    regions: RegionOverlap
    detections: Detections
    voxels: tuple[int, int, int]
    box_score: float | None = None
    abnormal: bool = False

    @property
    def ill(self) -> bool:
        """Is anything abnormal in the case?"""
        return self.voxels[2] > 0 or self.abnormal

    @property
    def masked(self) -> bool:
        """Is it known where it is abnormal, or that it is nowhere?"""
        return self.voxels[2] > 0 or not self.abnormal


def measure_case(
    score_map: Array,
    truth: Array,
    *,
    body: Array,
    mask: Array,
    affine: Array,
    case: str,
    patient: str,
    score: float,
    alarm: bool,
    box_score: float | None = None,
    abnormal: bool = False,
) -> CaseMeasures:
    """Measure one case on one grid.

    Args:
        score_map: `(i, j, k)` in [0, 1].
        truth: same shape, bool.
        body: same shape, bool; healthy voxels outside it are not counted.
        mask: same shape, bool, the method's answer at its calibrated threshold.
        affine: 4 x 4, voxel to mm.
        case: see `CaseMeasures`.
        patient: see `CaseMeasures`.
        score: see `CaseMeasures`.
        alarm: see `CaseMeasures`.
        box_score: see `CaseMeasures`.
        abnormal: see `CaseMeasures`.
    """
    counted = body | truth
    return CaseMeasures(
        case=case,
        patient=patient,
        score=score,
        alarm=alarm,
        histogram=ScoreHistogram().add(score_map[counted], truth[counted]),
        regions=RegionOverlap().add(score_map, truth),
        detections=detect(score_map, truth, affine),
        voxels=(int((mask & truth).sum()), int(mask.sum()), int(truth.sum())),
        box_score=box_score,
        abnormal=abnormal,
    )


def cohort_statistics(cases: Sequence[CaseMeasures], weights: Array) -> dict[str, Array]:
    """The statistics of each resample, nan where one is not defined.

    Args:
        cases: of the cohort.
        weights: `(resamples, cases)`, how often each case was drawn.

    Returns:
        `image_auroc` and `image_ap` of the cases' scores, pooled `voxel_ap`, `best_dice` (an oracle over thresholds)
        and `dice_at_threshold`, `aupro` up to a false-positive rate of 0.3, `lesion_sensitivity` at one false alarm a
        volume, and `false_alarm_rate`, the part of the healthy cases called abnormal; each `(resamples,)`.
    """
    scores, ill = np.array([case.score for case in cases]), np.array([case.ill for case in cases])
    alarms = np.array([case.alarm for case in cases])
    with np.errstate(invalid="ignore", divide="ignore"):
        false_alarms = (weights @ (alarms & ~ill)) / (weights @ ~ill)
    return {
        "image_auroc": image_auroc(scores, ill, weights),
        "image_ap": image_average_precision(scores, ill, weights),
        **_of_places(cases, weights),
        "false_alarm_rate": false_alarms,
    }


def _of_places(cases: Sequence[CaseMeasures], weights: Array) -> dict[str, Array]:
    """What needs masks, by the cases of which it is known where they are abnormal; nan where none is."""
    known = np.array([case.masked for case in cases])
    cases, weights = [case for case in cases if case.masked], weights[:, known]
    if not any(case.ill for case in cases):
        return {name: np.full(len(weights), np.nan) for name in OF_PLACES}
    counts = weights @ np.array([case.voxels for case in cases])
    with np.errstate(invalid="ignore", divide="ignore"):
        dice = 2 * counts[:, 0] / (counts[:, 1] + counts[:, 2])
    return {
        **_of_voxels(cases, weights),
        "dice_at_threshold": dice,
        "lesion_sensitivity": sensitivity_at([case.detections for case in cases], weights),
    }


def threshold_free(weights: Array, healthy: Array, abnormal: Array) -> dict[str, Array]:
    """Pooled `voxel_ap` and `best_dice` of each resample, `(resamples,)`; nan without abnormal voxels.

    Args:
        weights: `(resamples, cases)`.
        healthy: `(cases, BINS)` counts.
        abnormal: `(cases, BINS)` counts.
    """
    return _joined(_ap_and_dice(without, within) for _, without, within in _pooled(weights, healthy, abnormal))


def _of_voxels(cases: Sequence[CaseMeasures], weights: Array) -> dict[str, Array]:
    """`voxel_ap`, `best_dice` and `aupro`."""
    healthy, abnormal = (
        np.stack([getattr(case.histogram, side) for case in cases]) for side in ("healthy", "abnormal")
    )
    overlap = np.stack([case.regions.overlap for case in cases])
    regions = np.array([case.regions.regions for case in cases])
    return _joined(
        {
            **_ap_and_dice(without, within),
            "aupro": np.array([aupro(*row) for row in zip(without, found, some @ regions, strict=True)]),
        }
        for some, without, within, found in _pooled(weights, healthy, abnormal, overlap)
    )


def _pooled(weights: Array, *counts: Array) -> Iterator[tuple[Array, ...]]:
    """Some resamples at a time: their weights, and the sums of all counts `(cases, BINS)` under them."""
    for start in range(0, len(weights), _CHUNK):
        some = weights[start : start + _CHUNK].astype(np.float64)
        yield some, *(some @ count.astype(np.float64) for count in counts)


def _ap_and_dice(healthy: Array, abnormal: Array) -> dict[str, Array]:
    dice = np.where(abnormal.any(axis=1), dice_curve(healthy, abnormal).max(axis=1), np.nan)
    return {"voxel_ap": average_precision(healthy, abnormal), "best_dice": dice}


def _joined(parts: Iterable[dict[str, Array]]) -> dict[str, Array]:
    parts = list(parts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
