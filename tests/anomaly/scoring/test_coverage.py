"""The promise of calibration: of healthy cases, no more than alpha are called abnormal."""

import numpy as np
import pytest
from scipy.stats import binom

from anomaly.metrics import ScoreHistogram
from anomaly.scoring import calibrate

CASES = 2000  # held-out healthy cases of each setting, each with calibration cases of its own


def alarms(rng, calibration_cases, alpha, *, ties):
    """How many of `CASES` held-out healthy cases are called abnormal."""
    called = 0
    for _ in range(CASES):
        scores = rng.beta(0.6, 2.0, size=calibration_cases + 1)  # skewed, as scores of healthy scans are
        if ties:
            scores = np.round(scores, 1)
        found = calibrate(
            ScoreHistogram().add([0.1]),
            list(scores[1:]),
            cases=["c"] * calibration_cases,
            weights_sha256="",
            alpha=alpha,
        )
        called += found.is_abnormal(scores[0])
    return called


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("calibration_cases", [9, 19, 39])
def test_the_rate_of_false_alarms_lies_in_the_binomial_interval(alpha, calibration_cases):
    called = alarms(np.random.default_rng(0), calibration_cases, alpha, ties=False)
    promised = np.floor((calibration_cases + 1) * alpha + 1e-9) / (calibration_cases + 1)  # what so few cases can reach
    low, high = binom.interval(0.99, CASES, promised) if promised else (0, 0)
    assert low <= called <= high
    assert promised <= alpha


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_ties_never_raise_it(alpha):
    called = alarms(np.random.default_rng(1), 19, alpha, ties=True)
    assert called <= binom.ppf(0.995, CASES, alpha)


def test_it_says_what_so_few_cases_cannot_promise():
    def words(n, alpha):
        return calibrate(
            ScoreHistogram().add([0.1]), [0.5] * n, cases=["c"] * n, weights_sha256="", alpha=alpha
        ).promise()

    assert "no scan will be called abnormal; at least 9 are needed" in words(4, 0.1)
    assert "at least 19 are needed" in words(18, 0.05)
    assert "at most 10 % are called abnormal; a rate below 10.0 %" in words(9, 0.1)
    assert "at most 20 % are called abnormal; a rate below 20.0 %" in words(4, 0.2)
