"""Drift: no more alarms than promised where nothing moved, and an alarm where something did."""

import numpy as np
import pytest
from scipy.stats import binom

from anomaly.metrics import ScoreHistogram
from anomaly.scoring import calibrate
from anomaly.scoring.drift import shifts


def calibration(scores, **appearance):
    names = [str(number) for number in range(len(scores))]
    histogram = ScoreHistogram().add(scores)
    return calibrate(histogram, scores, cases=names, weights_sha256="", appearance=appearance)


def test_scans_of_the_same_kind_are_called_moved_as_rarely_as_the_level_says():
    rng = np.random.default_rng(0)
    moved = 0
    for _ in range(600):
        (shift,) = shifts(calibration(list(rng.random(12))), list(rng.random(40)), [])
        moved += shift.p_value <= 0.05
    assert moved <= binom.ppf(0.999, 600, 0.05)


def test_every_statistic_has_its_own_test():
    rng = np.random.default_rng(0)
    healthy = calibration(list(rng.random(15)), noise=sorted(rng.normal(3, 0.2, 15)), dark=sorted(rng.random(15)))
    new = [{"noise": value, "dark": dark} for value, dark in zip(rng.normal(2, 0.2, 20), rng.random(20), strict=True)]
    score, noise, dark = shifts(healthy, list(rng.random(20)), new)
    assert [score.name, noise.name, dark.name] == ["score", "noise", "dark"]
    assert (noise.distance, noise.higher) == (1.0, False)
    assert noise.p_value < 1e-6
    assert min(score.p_value, dark.p_value) > 0.01
    assert (noise.scans, noise.healthy) == (20, 15)


@pytest.mark.parametrize(("scans", "enough"), [(2, False), (40, True)])
def test_too_few_scans_cannot_tell(scans, enough):
    (shift,) = shifts(calibration([0.1, 0.2, 0.3]), [0.9] * scans, [])
    assert shift.can_tell(0.01) is enough
    assert (shift.p_value <= 0.01) is enough


def test_no_scans_no_shift():
    assert shifts(calibration([0.1]), [], []) == []
