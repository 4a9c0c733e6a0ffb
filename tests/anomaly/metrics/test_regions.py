"""Per-region overlap by hand, and against scikit-learn's ROC curve where there is one region."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomaly.metrics import RegionOverlap, ScoreHistogram, aupro
from anomaly.metrics.histogram import BINS


def measured(scores, truth, limit=0.3):
    regions = RegionOverlap().add(scores, truth)
    healthy = ScoreHistogram().add(scores, truth).healthy
    return aupro(healthy, regions.overlap, regions.regions, limit=limit)


def test_by_hand():
    """Two regions: one of 1 voxel found first, one of 2 found by half, then a false voxel of ten, then the rest."""
    scores = np.array([0.9, 0, 0.8, 0.2, 0, 0.5, 0, 0, 0, 0, 0, 0, 0])
    truth = np.array([1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    # overlap 0.75 at rate 0 and 0.1, then 1 at 0.1, and 1 at rate 1
    assert measured(scores, truth, limit=0.1) == pytest.approx(0.75)
    assert measured(scores, truth, limit=0.2) == pytest.approx((0.075 + 0.1) / 0.2)


def test_one_region_and_no_limit_is_the_roc_curve():
    rng = np.random.default_rng(0)
    truth = np.zeros((20, 20, 4), bool)
    truth[5:12, 5:12, 1:3] = True
    scores = np.floor(np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1) * BINS).clip(0, BINS - 1) / BINS
    assert measured(scores, truth, limit=1.0) == pytest.approx(roc_auc_score(truth.ravel(), scores.ravel()), abs=1e-9)


def test_a_small_lesion_counts_as_much_as_a_large_one():
    truth = np.zeros((30, 30))
    truth[2:22, 2:22] = 1
    truth[25, 25] = 1
    only_large, only_small = truth.copy(), np.zeros_like(truth)
    only_large[25, 25] = 0
    only_small[25, 25] = 1
    assert RegionOverlap().add(truth, truth).regions == 2
    for scores in (only_large, only_small):
        regions = RegionOverlap().add(scores, truth)
        assert regions.overlap[BINS // 2] / regions.regions == pytest.approx(0.5)


def test_sums_pool():
    rng = np.random.default_rng(1)
    cases = [(rng.random((8, 8, 3)), rng.random((8, 8, 3)) < 0.03) for _ in range(2)]
    one, two = (RegionOverlap().add(*case) for case in cases)
    both = RegionOverlap().add(*cases[0]).add(*cases[1])
    np.testing.assert_allclose((one + two).overlap, both.overlap)
    assert (one + two).regions == both.regions


def test_nothing_to_find_is_nan():
    assert np.isnan(measured(np.full(5, 0.3), np.zeros(5)))


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match=r"\(3,\) but truth of \(4,\)"):
        RegionOverlap().add(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="limit"):
        aupro(np.ones(BINS), np.ones(BINS), 1, limit=0)
