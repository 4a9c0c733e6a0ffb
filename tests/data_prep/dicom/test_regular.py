"""Positions that a header rounds are regular; slices that are missing or out of place are not."""

import numpy as np
import pytest
from dicom_maker import write_series
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import discover


def placed(heights, *, thickness=None, sideways=None):
    """A change that puts axial slices at heights, with as many digits as they have."""

    def change(k, dataset):
        x = 0.0 if sideways is None else sideways[k]
        dataset.ImagePositionPatient = [f"{x:.10g}", "0", f"{heights[k]:.10g}"]
        if thickness:
            dataset.SliceThickness = f"{thickness:.10g}"

    return change


def code_of(folder, heights, **options):
    write_series(folder, slices=len(heights), angle=0.0, change=placed(heights, **options))
    (series,) = discover(folder)
    return series


@pytest.mark.parametrize("thickness", [None, 3.0])
@pytest.mark.parametrize(
    ("gap", "step"),
    [(0.625, 0.1), (1.25, 0.1), (0.75, 0.1), (1 / 3, 0.1), (2.2, 0.1), (1.25, 0.5), (0.7, 0.5), (1.5, 1.0), (3.3, 1.0)],
)
@pytest.mark.parametrize("start", [30.0, -96.9])
def test_rounded_positions_are_regular(tmp_path, gap, step, thickness, start):
    heights = np.round((start + gap * np.arange(24)) / step) * step
    series = code_of(tmp_path, heights, thickness=thickness)
    assert series.code == "", series.reason
    assert series.spacing[2] == pytest.approx(gap, abs=step / 23 + 1e-9)


@pytest.mark.parametrize(("gap", "step"), [(0.625, 0.1), (1.25, 0.1), (0.75, 0.1), (2.2, 0.1), (1.25, 0.5), (3.0, 0.1)])
@pytest.mark.parametrize("gone", [[5], [1], [22], [7, 8]])
def test_a_hole_shows_through_the_rounding(tmp_path, gap, step, gone):
    heights = np.delete(np.round((30 + gap * np.arange(24)) / step) * step, gone)
    series = code_of(tmp_path, heights, thickness=gap)
    assert series.code == "MISSING_SLICES", series.reason
    assert f"{len(gone)} slice" in series.reason


@pytest.mark.parametrize("by", [0.1, 0.12, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("thickness", [None, 3.0])
def test_one_slice_out_of_place_is_no_rounding(tmp_path, by, thickness):
    heights = 30 + 3.0 * np.arange(12)
    heights[6] += by
    assert code_of(tmp_path, heights, thickness=thickness).code == "VARIABLE_SPACING"


@pytest.mark.parametrize("by", [0.25, 0.5])
def test_one_slice_shifted_sideways(tmp_path, by):
    sideways = np.where(np.arange(12) == 6, by, 0.0)
    series = code_of(tmp_path, 30 + 3.0 * np.arange(12), sideways=sideways, thickness=3.0)
    assert series.code == "VARIABLE_SPACING"
    assert "sideways" in series.reason


@settings(max_examples=25, deadline=None)
@given(st.floats(0.2, 1.0), st.integers(6, 20), st.integers(0, 2**31))
def test_jitter_beyond_rounding_is_refused(tmp_path_factory, size, slices, seed):
    rng = np.random.default_rng(seed)
    jitter = rng.choice([-1, 1], slices) * rng.uniform(0.6, 1.0, slices) * size
    jitter[:2] = size, -size
    jitter[-2:] = -size, size
    series = code_of(tmp_path_factory.mktemp("jitter"), 30 + 3.0 * np.arange(slices) + jitter, thickness=3.0)
    assert series.code in ("VARIABLE_SPACING", "MISSING_SLICES")


@settings(max_examples=25, deadline=None)
@given(st.floats(0.4, 6.0), st.floats(-1.2, 1.2), st.integers(3, 30))
def test_oblique_positions_rounded_to_a_tenth(tmp_path_factory, gap, angle, slices):
    def change(k, dataset):
        dataset.ImagePositionPatient = [f"{float(value):.1f}" for value in dataset.ImagePositionPatient]

    folder = tmp_path_factory.mktemp("oblique")
    write_series(folder, slices=slices, gap=gap, angle=angle, change=change)
    (series,) = discover(folder)
    assert series.code == "", series.reason
