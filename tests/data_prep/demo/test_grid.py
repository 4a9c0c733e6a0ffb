"""The grid: right-handed stacks of the asked spacing around the head."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.demo import Grid
from data_prep.demo.grid import HEAD_CENTRE_MM

angle = st.floats(-60, 60)


@given(plane=st.sampled_from(["axial", "sagittal", "coronal"]), tilt=st.tuples(angle, angle, angle))
def test_affine_has_the_spacing_and_the_head_in_its_middle(plane, tilt):
    grid = Grid((20, 31, 8), (0.7, 1.1, 5.0), plane, tilt)
    affine = grid.affine
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), grid.spacing_mm)
    assert np.linalg.det(affine[:3, :3]) == pytest.approx(0.7 * 1.1 * 5)  # slices along row x column
    np.testing.assert_allclose((affine @ [9.5, 15, 3.5, 1])[:3], HEAD_CENTRE_MM, atol=1e-9)


@pytest.mark.parametrize(
    ("plane", "axes"), [("axial", ("L", "P", "S")), ("coronal", ("L", "I", "P")), ("sagittal", ("P", "I", "R"))]
)
def test_planes_are_laid_out_as_scanners_do(plane, axes):
    from nibabel.orientations import aff2axcodes

    assert aff2axcodes(Grid(plane=plane).affine) == axes


@pytest.mark.parametrize("wrong", [{"shape": (9, 9, 1)}, {"spacing_mm": (1, 0, 1)}, {"plane": "skew"}])
def test_impossible_grids_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be .* got"):
        Grid(**wrong)
