"""A cohort's statistics against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from anomaly.metrics.cohort import cohort_statistics, measure_case
from anomaly.metrics.histogram import BINS

SHAPE = (16, 16, 4)


def made(count=4, ill=2):
    rng = np.random.default_rng(0)
    body = np.zeros(SHAPE, bool)
    body[2:14, 2:14] = True
    cases, maps = [], []
    for number in range(count):
        truth = np.zeros(SHAPE, bool)
        truth[5:9, 5:9, 1:3] = number < ill
        scores = body * np.clip(rng.normal(0.3 + 0.4 * truth, 0.15), 0, 1)
        scores = np.floor(scores * BINS).clip(0, BINS - 1) / BINS
        maps.append((scores, truth))
        cases.append(
            measure_case(
                scores,
                truth,
                body=body,
                mask=scores > 0.6,
                affine=np.diag([2.0, 2, 5, 1]),
                case=str(number),
                patient=str(number),
                score=float(scores.max()),
                alarm=number in (0, 3),
            )
        )
    return cases, maps, body


def test_point_values():
    cases, maps, body = made()
    told = {name: values[0] for name, values in cohort_statistics(cases, np.ones((1, 4), int)).items()}
    scores, truth = (np.concatenate([one[body] for one in part]) for part in zip(*maps, strict=True))
    assert told["voxel_ap"] == pytest.approx(average_precision_score(truth, scores))
    hit, mask, lesion = ((scores > 0.6) & truth).sum(), (scores > 0.6).sum(), truth.sum()
    assert told["dice_at_threshold"] == pytest.approx(2 * hit / (mask + lesion))
    assert told["dice_at_threshold"] <= told["best_dice"] <= 1
    images = [case.score for case in cases]
    assert told["image_auroc"] == pytest.approx(roc_auc_score([1, 1, 0, 0], images))
    assert told["false_alarm_rate"] == 0.5
    assert told["lesion_sensitivity"] == 1
    rate, found, _ = roc_curve(truth, scores, drop_intermediate=False)  # lesions of one size: all count alike
    below = rate < 0.3
    rates, curve = np.append(rate[below], 0.3), np.append(found[below], np.interp(0.3, rate, found))
    assert told["aupro"] == pytest.approx(np.trapezoid(curve, rates) / 0.3)


def test_a_resample_is_the_cohort_that_was_drawn():
    cases, _, _ = made()
    weights = np.array([[2, 1, 0, 1], [0, 0, 2, 2]])
    drawn = cohort_statistics([cases[n] for n in (0, 0, 1, 3)], np.ones((1, 4), int))
    told = cohort_statistics(cases, weights)
    for name, values in drawn.items():
        assert told[name][0] == pytest.approx(values[0]), name
    undefined = {name for name, values in told.items() if np.isnan(values[1])}
    assert undefined == {"image_auroc", "image_ap", "voxel_ap", "best_dice", "aupro", "lesion_sensitivity"}


def test_healthy_voxels_outside_the_body_do_not_count():
    cases, _, body = made()
    histogram = cases[0].histogram
    assert histogram.healthy.sum() + histogram.abnormal.sum() == body.sum()
