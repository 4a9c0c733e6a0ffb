"""Slices in radiological convention, whatever the order of the file's axes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

from pipelines.report.slices import View, most_abnormal

RAS_SHAPE, RAS_SPACING = (6, 8, 4), (1.0, 1.5, 6.0)
ORIENTATIONS = [
    np.array(list(zip(order, signs, strict=True)), dtype=float)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def marked() -> np.ndarray:
    """A RAS volume: 1 on the far right, 2 far anterior, 3 at the most superior slice."""
    volume = np.zeros(RAS_SHAPE)
    volume[-1, 3, 1], volume[2, -1, 1], volume[2, 3, -1] = 1, 2, 3
    return volume


@given(st.sampled_from(ORIENTATIONS))
def test_right_is_left_and_anterior_is_up(orientation: np.ndarray) -> None:
    affine = np.diag([*RAS_SPACING, 1.0]) @ inv_ornt_aff(orientation, RAS_SHAPE)
    source = apply_orientation(marked(), orientation)
    view = View.of(source.shape, affine)
    shown = view.show(source)
    np.testing.assert_array_equal(io_orientation(affine), view.orientation)
    assert (view.plane, view.edges, view.count) == ("axial", ("R", "L"), 4)
    assert shown.shape == (8, 6, 4)
    assert view.aspect == pytest.approx(1.5)
    assert np.argwhere(shown == 1).tolist() == [[4, 0, 1]]  # right: first column
    assert np.argwhere(shown == 2).tolist() == [[0, 3, 1]]  # anterior: first row
    assert np.argwhere(shown == 3)[0, 2] == 3


@given(st.sampled_from(ORIENTATIONS), st.integers(0, 3))
def test_slices_are_numbered_as_in_the_file(orientation: np.ndarray, index: int) -> None:
    affine = np.diag([*RAS_SPACING, 1.0]) @ inv_ornt_aff(orientation, RAS_SHAPE)
    volume = np.broadcast_to(np.arange(4.0), RAS_SHAPE)
    source = apply_orientation(volume, orientation)
    view = View.of(source.shape, affine)
    axis = next(axis for axis in range(3) if source.shape[axis] == 4)
    assert source.take(view.number(index) - 1, axis=axis).max() == view.show(source)[..., index].max()


@pytest.mark.parametrize(
    ("spacing", "plane", "aspect"),
    [((5, 1, 2), "sagittal", 2.0), ((1, 5, 2), "coronal", 2.0), ((1, 1, 5), "axial", 1.0), ((1, 1.1, 1), "axial", 1.1)],
)
def test_slices_run_along_the_thickest_axis(spacing: tuple[float, ...], plane: str, aspect: float) -> None:
    view = View.of((9, 9, 9), np.diag([*spacing, 1.0]))
    assert view.plane == plane
    assert view.aspect == pytest.approx(aspect)


def test_every_outlined_region_is_seen_first() -> None:
    mask, score = np.zeros((20, 20, 20)), np.zeros((20, 20, 20))
    mask[2:12, 2:12, 2:9] = 1
    mask[5:8, 5:8, 15] = 1
    score[mask > 0] = 0.8
    score[:, :, 12] = 0.4
    chosen = most_abnormal(mask, score, thickness=6.0)
    assert 15 in chosen
    assert len(set(chosen) & set(range(2, 9))) == 3
    assert chosen == sorted(chosen)


def test_thin_slices_are_chosen_apart() -> None:
    score = np.zeros((10, 10, 60))
    score[..., 30:50] = np.linspace(0.5, 0.9, 20)
    chosen = most_abnormal(np.zeros_like(score), score, thickness=1.0)
    assert 49 in chosen
    assert np.diff(chosen).min() >= 5


def test_without_any_score_the_middle_is_shown_and_few_slices_are_enough() -> None:
    assert most_abnormal(np.zeros((5, 5, 9)), np.zeros((5, 5, 9)), thickness=6.0, most=3) == [3, 4, 5]
    assert most_abnormal(np.zeros((5, 5, 2)), np.zeros((5, 5, 2)), thickness=6.0) == [0, 1]
