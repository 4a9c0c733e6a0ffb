"""What a cohort's cases add up to, for every resample of a patient bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anomaly.metrics.bootstrap import image_auroc, image_average_precision
from anomaly.metrics.froc import Detections, detect, sensitivity_at
from anomaly.metrics.histogram import ScoreHistogram, average_precision, dice_curve
from anomaly.metrics.regions import RegionOverlap, aupro

Array = np.ndarray
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
    """

    case: str
    patient: str
    score: float
    alarm: bool
    histogram: ScoreHistogram
    regions: RegionOverlap
    detections: Detections
    voxels: tuple[int, int, int]

    @property
    def ill(self) -> bool:
        """Is anything abnormal in the case?"""
        return self.voxels[2] > 0


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
    counts = weights @ np.array([case.voxels for case in cases])
    with np.errstate(invalid="ignore", divide="ignore"):
        dice = 2 * counts[:, 0] / (counts[:, 1] + counts[:, 2])
        false_alarms = (weights @ (alarms & ~ill)) / (weights @ ~ill)
    return {
        "image_auroc": image_auroc(scores, ill, weights),
        "image_ap": image_average_precision(scores, ill, weights),
        **_of_voxels(cases, weights),
        "dice_at_threshold": dice,
        "lesion_sensitivity": sensitivity_at([case.detections for case in cases], weights),
        "false_alarm_rate": false_alarms,
    }


def _of_voxels(cases: Sequence[CaseMeasures], weights: Array) -> dict[str, Array]:
    """`voxel_ap`, `best_dice` and `aupro`, some resamples at a time."""
    healthy, abnormal, overlap = (
        np.stack(rows).astype(np.float64)
        for rows in (
            [case.histogram.healthy for case in cases],
            [case.histogram.abnormal for case in cases],
            [case.regions.overlap for case in cases],
        )
    )
    regions = weights @ np.array([case.regions.regions for case in cases])
    parts: list[tuple[Array, Array, Array]] = []
    for start in range(0, len(weights), _CHUNK):
        some = weights[start : start + _CHUNK].astype(np.float64)
        without, within, found = some @ healthy, some @ abnormal, some @ overlap
        areas = [aupro(*row) for row in zip(without, found, regions[start : start + _CHUNK], strict=True)]
        dice = np.where(within.any(axis=1), dice_curve(without, within).max(axis=1), np.nan)
        parts.append((average_precision(without, within), dice, np.array(areas)))
    joined = [np.concatenate(values) for values in zip(*parts, strict=True)]
    return dict(zip(("voxel_ap", "best_dice", "aupro"), joined, strict=True))
