"""Peaks and lesion-wise sensitivity by hand, and against MONAI's FROC curve."""

import numpy as np
import pytest
from monai.metrics import compute_froc_curve_data

from anomaly.metrics import Detections, detect, find_peaks, sensitivity_at


def blobs(*places, shape=(40, 40, 8)):
    scores = np.zeros(shape, np.float32)
    for (i, j, k), height in places:
        scores[i - 1 : i + 2, j - 1 : j + 2, k] = height / 2
        scores[i, j, k] = height
    return scores


def test_peaks_are_as_far_apart_as_asked_for_in_millimetres():
    scores = blobs(((10, 10, 2), 0.9), ((14, 10, 2), 0.8), ((30, 30, 5), 0.5))
    near, far = np.diag([1.0, 1, 5, 1]), np.diag([4.0, 4, 5, 1])
    assert find_peaks(scores, near)[1].tolist() == [[10, 10, 2], [30, 30, 5]]
    assert find_peaks(scores, far)[0].tolist() == pytest.approx([0.9, 0.8, 0.5])
    assert find_peaks(scores, far, most=1)[1].tolist() == [[10, 10, 2]]


def test_a_plateau_is_one_peak_and_nothing_is_none():
    scores = np.zeros((20, 20, 4), np.float32)
    scores[5:9, 5:9, 1:3] = 0.7
    assert len(find_peaks(scores, np.eye(4))[0]) == 1
    assert len(find_peaks(np.zeros_like(scores), np.eye(4))[0]) == 0


def test_hits_and_false_alarms():
    scores = blobs(((10, 10, 2), 0.9), ((30, 30, 5), 0.5), ((10, 30, 2), 0.3))
    truth = np.zeros(scores.shape, bool)
    truth[28:33, 28:33, 4:6] = True
    truth[20, 2, 1] = True
    found = detect(scores, truth, np.eye(4))
    assert sorted(found.hits.tolist()) == [0.0, 0.5]
    assert found.false.tolist() == pytest.approx([0.9, 0.3])
    with pytest.raises(ValueError, match="truth of"):
        detect(scores, truth[:-1], np.eye(4))


def test_sensitivity_by_hand():
    cases = [
        Detections(hits=np.array([0.9, 0.2]), false=np.array([0.8, 0.3])),
        Detections(hits=np.array([0.6]), false=np.array([0.5, 0.1])),
    ]
    weights = np.array([[1, 1], [2, 0], [0, 1]])
    # two alarms for two volumes: 0.8 and 0.5 may be, 0.3 may not
    assert sensitivity_at(cases, weights[:1]).tolist() == pytest.approx([2 / 3])
    assert sensitivity_at(cases, weights[:1], false_alarms=0).tolist() == pytest.approx([1 / 3])
    assert sensitivity_at(cases, weights).tolist() == pytest.approx([2 / 3, 1 / 2, 1])
    assert np.isnan(sensitivity_at([Detections(hits=np.zeros(0), false=np.ones(1))], np.ones((1, 1), int))).all()


def test_it_is_a_point_of_monais_curve():
    rng = np.random.default_rng(0)
    cases = [Detections(hits=rng.random(3), false=rng.random(8)) for _ in range(12)]
    false, hits = (np.concatenate([getattr(case, name) for case in cases]) for name in ("false", "hits"))
    alarms, sensitivity = compute_froc_curve_data(false, hits, len(hits), len(cases))
    for limit in (0.25, 1.0, 2.0):
        found = sensitivity_at(cases, np.ones((1, len(cases)), int), false_alarms=limit)
        assert found[0] == pytest.approx(sensitivity[alarms <= limit].max())
