"""What a cohort has in common."""

import numpy as np
import pytest
from conftest import rotated_affine

from data_prep import Volume, take_fingerprint


def volume(shape, spacing, **where):
    return Volume(array=np.zeros(shape), affine=rotated_affine(spacing, **where))


def test_thick_axial_slices():
    found = take_fingerprint([volume((256, 256, 24), (0.9, 0.9, 5.0), flips=(-1, 1, 1))] * 3)
    assert found.axcodes == "RAS"
    assert found.thick
    assert found.pixdim == pytest.approx((1.8, 1.8, 5.0))
    assert found.shape == (128, 128, 24)
    assert found.scans == 3


def test_sagittal_slices_come_last():
    found = take_fingerprint([volume((240, 256, 30), (1.0, 1.0, 4.0), order=(1, 2, 0))])
    assert found.axcodes == "ASR"
    assert found.spacing == pytest.approx((1.0, 1.0, 4.0))
    assert found.extent == pytest.approx((240, 256, 120))


def test_cubes_are_not_thick_and_not_made_finer():
    found = take_fingerprint([volume((91, 109, 91), (2.0, 2.0, 2.0))])
    assert (found.axcodes, found.thick) == ("RAS", False)
    assert found.pixdim == pytest.approx((2.0, 2.0, 2.0))


def test_the_majority_decides_and_the_median_counts():
    scans = [volume((100, 100, 20), (1.0, 1.0, step)) for step in (4.0, 5.0, 9.0)]
    found = take_fingerprint([*scans, volume((20, 100, 100), (6.0, 1.0, 1.0))])
    assert found.axcodes == "RAS"
    assert found.spacing[2] == pytest.approx(4.5, abs=0.6)


def test_no_scan_no_fingerprint():
    with pytest.raises(ValueError, match="at least one scan"):
        take_fingerprint([])
