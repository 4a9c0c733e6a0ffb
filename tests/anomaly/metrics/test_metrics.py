"""Histogram metrics against scikit-learn and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.engine import Engine
from ignite.exceptions import NotComputableError
from sklearn.metrics import average_precision_score, f1_score

from anomaly.metrics import ScoreHistogram, VoxelMetric
from anomaly.metrics.histogram import BINS


def sample(seed, size=3000):
    rng = np.random.default_rng(seed)
    truth = rng.random(size) < 0.2
    scores = np.clip(rng.normal(0.3 + 0.3 * truth, 0.2), 0, 1)
    return np.floor(scores * BINS).clip(0, BINS - 1) / BINS, truth


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_average_precision_is_scikit_learns(seed):
    scores, truth = sample(seed)
    assert ScoreHistogram().add(scores, truth).average_precision() == pytest.approx(
        average_precision_score(truth, scores), abs=1e-9
    )


def test_best_dice_is_the_best_f1():
    scores, truth = sample(1, 400)
    best, threshold = ScoreHistogram().add(scores, truth).best_dice()
    assert best == pytest.approx(max(f1_score(truth, scores >= t) for t in np.unique(scores)), abs=1e-9)
    assert best == pytest.approx(f1_score(truth, scores >= threshold), abs=1e-9)


def test_dice_at_a_threshold():
    histogram = ScoreHistogram().add([0.1, 0.6, 0.9, 0.9], [0, 0, 1, 0])
    assert histogram.dice(0.5) == pytest.approx(2 * 1 / (3 + 1))


def test_sums_of_histograms_pool():
    one, two = sample(1), sample(2)
    pooled = ScoreHistogram().add(*one) + ScoreHistogram().add(*two)
    both = ScoreHistogram().add(np.concatenate([one[0], two[0]]), np.concatenate([one[1], two[1]]))
    assert pooled.average_precision() == both.average_precision()


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1])
def test_quantile_keeps_its_promise(rate):
    scores, _ = sample(3, 20_000)
    threshold = ScoreHistogram().add(scores).quantile(1 - rate)
    assert (scores >= threshold).mean() <= rate
    assert (scores >= threshold - 2 / BINS).mean() > rate * 0.8


def test_no_lesion_is_nan_not_zero():
    assert np.isnan(ScoreHistogram().add([0.1, 0.2]).average_precision())


@pytest.mark.parametrize("bad", [[1.5], [-0.1], [float("nan")]])
def test_scores_outside_the_unit_range_are_refused(bad):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        ScoreHistogram().add(bad, [0])


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="2 scores but 3 labels"):
        ScoreHistogram().add([0.1, 0.2], [0, 1, 0])


def test_voxel_metric_pools_over_iterations():
    scores, truth = sample(4)
    batches = [(torch.tensor(scores[:1000]), torch.tensor(truth[:1000])), ([scores[1000:]], [truth[1000:]])]
    engine = Engine(lambda _, batch: batch)
    VoxelMetric("average_precision").attach(engine, "ap")
    VoxelMetric("best_dice").attach(engine, "dice")
    metrics = engine.run(batches).metrics
    assert metrics["ap"] == pytest.approx(average_precision_score(truth, scores), abs=1e-9)
    assert 0 < metrics["dice"] < 1


def test_voxel_metric_needs_an_abnormal_voxel():
    metric = VoxelMetric()
    metric.update(([0.1, 0.5], [0, 0]))
    with pytest.raises(NotComputableError):
        metric.compute()


def test_unknown_statistic():
    with pytest.raises(ValueError, match="median"):
        VoxelMetric("median")


def test_unrounded_scores_added_in_parts_are_within_two_thousandths_in_the_same_memory():
    rng = np.random.default_rng(0)
    truth = rng.random(500_000) < 0.01
    scores = np.clip(rng.normal(0.3 + 0.25 * truth, 0.1), 0, 1)
    histogram = ScoreHistogram()
    for part in np.array_split(np.arange(truth.size), 20):
        histogram.add(scores[part], truth[part])
        assert histogram.healthy.nbytes + histogram.abnormal.nbytes == 2 * 8 * BINS
    assert histogram.average_precision() == pytest.approx(average_precision_score(truth, scores), abs=0.002)
