"""Free-response ROC: lesions found against false alarms a volume, each alarm a peak of the score map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from monai.metrics import compute_fp_tp_probs_nd
from scipy import ndimage

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Detections:
    """What the peaks of one volume's score map hit.

    Args:
        hits: `(lesions,)`, the highest peak inside each true lesion; 0 where there is none.
        false: the peaks outside all lesions.
    """

    hits: Array
    false: Array


def find_peaks(score_map: Array, affine: Array, *, apart_mm: float = 10.0, most: int = 50) -> tuple[Array, Array]:
    """The highest points of a score map.

    Args:
        score_map: `(i, j, k)` in [0, 1].
        affine: 4 x 4, voxel to mm.
        apart_mm: a peak is the highest within this distance along every axis; a plateau is one peak.
        most: only so many, the highest, are kept.

    Returns:
        Scores `(n,)`, all above 0, the highest first, and voxels `(n, 3)`.
    """
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    size = 2 * np.maximum(np.round(apart_mm / steps), 1).astype(int) + 1
    top = (score_map == ndimage.maximum_filter(score_map, size=tuple(size), mode="constant")) & (score_map > 0)
    plateaus, count = ndimage.label(top, structure=np.ones((3, 3, 3)))
    if count == 0:
        return np.zeros(0, np.float32), np.zeros((0, 3), np.int64)
    voxels = np.argwhere(plateaus > 0)
    _, first = np.unique(plateaus[tuple(voxels.T)], return_index=True)
    voxels = voxels[first]
    scores = score_map[tuple(voxels.T)]
    order = np.argsort(-scores, kind="stable")[:most]
    return scores[order], voxels[order]


def detect(score_map: Array, truth: Array, affine: Array, *, apart_mm: float = 10.0, most: int = 50) -> Detections:
    """Compare the peaks with the true lesions (26-neighbourhood); arguments as for `find_peaks`.

    Raises:
        ValueError: `truth` has another shape than `score_map`.
    """
    if score_map.shape != truth.shape:
        msg = f"score map of {score_map.shape} but truth of {truth.shape}"
        raise ValueError(msg)
    scores, voxels = find_peaks(score_map, affine, apart_mm=apart_mm, most=most)
    lesions, _ = ndimage.label(truth, structure=np.ones((3, 3, 3)))
    false, hits, _ = compute_fp_tp_probs_nd(scores, voxels, lesions)
    return Detections(hits=np.asarray(hits), false=np.asarray(false))


def sensitivity_at(cases: Sequence[Detections], weights: Array, *, false_alarms: float = 1.0) -> Array:
    """The largest part of the lesions that is found with at most so many false alarms a volume.

    Args:
        cases: of a cohort.
        weights: `(resamples, cases)`, how often each case counts.
        false_alarms: a volume, on average over all cases.

    Returns:
        `(resamples,)`; nan where a resample has no lesion.
    """
    hits, of_hits = _flat([case.hits for case in cases])
    false, of_false = _flat([case.false for case in cases])
    order = np.argsort(-false, kind="stable")
    false, of_false = false[order], of_false[order]
    found = np.full(len(weights), np.nan)
    for row, weight in enumerate(weights):
        lesions = weight[of_hits]
        if lesions.sum() == 0:
            continue
        beyond = np.flatnonzero(np.cumsum(weight[of_false]) > false_alarms * weight.sum() + 1e-9)
        floor = false[beyond[0]] if beyond.size else 0.0  # scores must be above the first false alarm too many
        found[row] = lesions[hits > floor].sum() / lesions.sum()
    return found


def _flat(parts: Sequence[Array]) -> tuple[Array, Array]:
    """All values, and of which case each is."""
    owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts]), owners
