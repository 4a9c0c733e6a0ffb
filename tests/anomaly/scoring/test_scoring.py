"""Scores, calibration and mask clean-up, by hand and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from anomaly.metrics import ScoreHistogram
from anomaly.scoring import Calibration, HealthyScores, appearance, calibrate, find_lesions, image_score
from anomaly.scoring.lesions import largest_diameter


def calibration(scores, alpha=0.1):
    return calibrate(
        ScoreHistogram().add(np.linspace(0, 1, 1000)),
        scores,
        cases=[str(i) for i in range(len(scores))],
        weights_sha256="0" * 64,
        alpha=alpha,
    )


def test_p_value_by_hand():
    nine = calibration([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert nine.p_value(0.95) == pytest.approx(1 / 10)
    assert nine.p_value(0.75) == pytest.approx(3 / 10)
    assert nine.p_value(0.0) == 1.0
    assert nine.image_threshold == 0.9
    assert nine.is_abnormal(0.91)
    assert not nine.is_abnormal(0.9)


def test_too_few_scans_never_call_anything_abnormal():
    eight = calibration([0.1] * 8)
    assert eight.image_threshold == math.inf
    assert not eight.is_abnormal(1.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0, 1), st.sampled_from([0.05, 0.1, 0.2, 0.5]))
def test_threshold_and_p_value_agree(scores, score, alpha):
    fitted = calibration(scores, alpha)
    assert fitted.is_abnormal(score) == (score > fitted.image_threshold)


@pytest.mark.parametrize("alpha", [0.1, 0.2])
def test_false_alarms_on_exchangeable_healthy_scans_keep_the_promise(alpha):
    rng = np.random.default_rng(0)
    alarms = sum(calibration(list(rng.random(9)), alpha).is_abnormal(rng.random()) for _ in range(2000))
    assert alarms <= binom.ppf(0.999, 2000, alpha)
    assert alarms >= binom.ppf(0.001, 2000, alpha)


def test_a_scan_full_of_artefacts_does_not_move_the_median_threshold():
    healthy, clean = HealthyScores(), np.linspace(0, 0.5, 1001)
    for case in "abcd":
        healthy.add(case, clean, {})
    alone = healthy.calibrate(weights_sha256="", voxel_rule="median", voxel_false_positive_rate=0.01)
    assert alone.voxel_threshold == pytest.approx(0.495)
    healthy.add("bad", np.linspace(0, 1, 1001), {})
    both = {
        rule: healthy.calibrate(weights_sha256="", voxel_rule=rule, voxel_false_positive_rate=0.01)
        for rule in ("pooled", "median")
    }
    assert both["median"].voxel_threshold == pytest.approx(0.495)
    assert both["pooled"].voxel_threshold > 0.9
    assert both["median"].voxel_rule == "median"
    with pytest.raises(ValueError, match="each"):
        calibrate(ScoreHistogram(), [0.1], cases=["a"], weights_sha256="", voxel_rule="median")


def test_voxel_threshold_lets_the_promised_part_of_healthy_voxels_through():
    fitted = calibration([0.5])
    assert (np.linspace(0, 1, 1000) >= fitted.voxel_threshold).mean() <= fitted.voxel_false_positive_rate


def test_round_trip(tmp_path):
    fitted = calibration([0.1, 0.2])
    fitted.save(tmp_path / "calibration.json")
    assert Calibration.load(tmp_path / "calibration.json") == fitted


def test_no_cases_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        calibration([])


def test_image_score_is_the_mean_of_the_highest_voxels_of_the_body():
    scores = np.arange(1000) / 1000
    body = scores < 0.9
    assert image_score(scores, body, fraction=2 / 900) == pytest.approx((0.899 + 0.898) / 2)
    assert image_score(scores, np.zeros(1000, bool)) == 0.0


def test_lesions_are_measured_in_millilitres_and_world_coordinates():
    score_map = np.zeros((30, 30, 10), np.float32)
    score_map[5:15, 5:15, 2:6] = 0.8  # 400 voxels
    score_map[20:22, 20, 8] = 0.9  # 2 voxels
    affine = np.array([[0, 2.0, 0, 10], [-1.0, 0, 0, 20], [0, 0, 5.0, -30], [0, 0, 0, 1]])
    mask, lesions = find_lesions(score_map, affine, threshold=0.5, min_lesion_ml=0.1)
    assert mask.sum() == 400
    assert mask.dtype == np.uint8
    assert [lesion.volume_ml for lesion in lesions] == [4.0]
    assert lesions[0].centroid_mm == pytest.approx((2 * 9.5 + 10, -9.5 + 20, 5 * 3.5 - 30), abs=0.06)
    assert lesions[0].peak_score == pytest.approx(0.8)
    assert (lesions[0].slice, lesions[0].side) == (3, "left")
    assert lesions[0].diameter_mm == pytest.approx(np.linalg.norm((10 * 2, 10 * 1, 4 * 5)), abs=0.06)


@pytest.mark.parametrize(
    ("box", "millimetres"),
    [
        ((slice(3, 4), slice(3, 4), slice(2, 3)), np.sqrt(1 + 1 + 25)),
        ((slice(0, 6), slice(3, 4), slice(1, 3)), np.sqrt(36 + 1 + 100)),
    ],
)
def test_largest_diameter_is_from_corner_to_corner(box, millimetres):
    inside = np.zeros((6, 6, 4), bool)
    inside[box] = True
    sheared = np.array([[1, 0, 0, 7], [0, 1, 0, -3], [0, 0, 5.0, 0], [0, 0, 0, 1]])
    assert largest_diameter(inside, sheared) == pytest.approx(millimetres)


def test_largest_lesion_first():
    score_map = np.zeros((20, 20, 5), np.float32)
    score_map[0:2, 0:2, 0:2], score_map[10:16, 10:16, 1:4] = 1, 1
    _, lesions = find_lesions(score_map, np.diag([5, 5, 5, 1.0]), threshold=0.5, min_lesion_ml=0)
    assert lesions[0].volume_ml > lesions[1].volume_ml


def test_an_empty_mask_is_a_normal_result():
    mask, lesions = find_lesions(np.zeros((4, 4, 4)), np.eye(4), threshold=0.5, min_lesion_ml=0)
    assert not mask.any()
    assert lesions == []


def test_appearance_recovers_noise_and_levels():
    rng = np.random.default_rng(0)
    body = np.zeros((40, 40, 10), bool)
    body[5:35, 5:35] = True
    ramp = np.linspace(0.2, 0.6, 40)[None, :, None]
    told = appearance(np.where(body, ramp + rng.normal(0, 0.03, body.shape), 0), body)
    assert told["noise"] == pytest.approx(0.03, rel=0.1)
    assert told["dark"] == pytest.approx(np.percentile(ramp[:, 5:35], 10), abs=0.02)
    assert told["bright"] == pytest.approx(np.percentile(ramp[:, 5:35], 90), abs=0.02)
    assert appearance(np.zeros((4, 4, 4)), np.zeros((4, 4, 4), bool)) == {}
