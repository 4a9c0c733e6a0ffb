"""The patient bootstrap: patients stay together, statistics are scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from anomaly.metrics import image_auroc, image_average_precision, interval, resample_patients


def test_the_cases_of_a_patient_are_drawn_together():
    weights = resample_patients(["a", "a", "b", "c"], resamples=200)
    assert weights.shape == (200, 4)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    np.testing.assert_array_equal(weights[:, 1:].sum(axis=1), 3)
    np.testing.assert_array_equal(weights, resample_patients(["a", "a", "b", "c"], resamples=200))
    with pytest.raises(ValueError, match="none"):
        resample_patients([])


def test_a_weight_of_two_is_a_case_seen_twice():
    scores, truth = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    weights = np.array([[1, 1, 1, 1], [2, 1, 0, 3], [1, 1, 0, 0]])
    twice = np.repeat(np.arange(4), weights[1])
    for ours, theirs in ((image_auroc, roc_auc_score), (image_average_precision, average_precision_score)):
        values = ours(scores, truth, weights)
        assert values[0] == pytest.approx(theirs(truth, scores))
        assert values[1] == pytest.approx(theirs(truth[twice], scores[twice]))
        assert np.isnan(values[2])


def test_the_interval_of_a_mean_is_about_what_theory_says():
    values = np.random.default_rng(0).normal(5, 1, 100)
    weights = resample_patients([str(n) for n in range(100)], resamples=2000)
    low, high = interval(weights @ values / 100)
    assert low == pytest.approx(values.mean() - 1.96 * values.std() / 10, abs=0.03)
    assert high == pytest.approx(values.mean() + 1.96 * values.std() / 10, abs=0.03)
    assert interval(np.full(3, np.nan)) is None
