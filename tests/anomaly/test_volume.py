"""A volume from Python is refused as a file is: with the same code and the same words."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from anomaly.volume import VolumeError, check_volume
from data_prep import InputError
from data_prep.volume import check_affine, check_values

GOOD = np.random.default_rng(0).random((6, 5, 4), dtype=np.float32)


def with_voxel(value, dtype=np.float32):
    array = GOOD.astype(dtype)
    array[2, 3, 1] = value
    return array


def refusal(array, affine):
    with pytest.raises(VolumeError) as caught:
        check_volume(SimpleNamespace(array=array, affine=affine, source="scans/a.nii.gz"))
    return caught.value


@pytest.mark.parametrize(
    "array",
    [
        with_voxel(np.nan),
        with_voxel(np.inf),
        with_voxel(-np.inf, np.float64),
        with_voxel(np.nan, np.float16),
        np.full((6, 5, 4), np.nan, np.float32),
        np.zeros((6, 5, 4), np.int16),
        np.full((6, 5, 4), 7.0),
    ],
)
def test_voxels_that_the_gate_refuses(array):
    with pytest.raises(InputError) as gate:
        check_values("scans/a.nii.gz", array)
    found = refusal(array, np.eye(4))
    assert (found.code, found.reason) == (gate.value.code, gate.value.reason)
    assert "a.nii.gz" in str(found)


@pytest.mark.parametrize(
    "affine",
    [
        np.diag([np.nan, 1, 1, 1]),
        np.diag([0.0, 1, 1, 1]),
        np.array([[1.0, 1, 0, 0], [0, 1e-4, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        np.diag([1000.0, 1, 1, 1]),
        np.diag([0.001, 0.001, 0.001, 1]),
    ],
)
def test_places_that_the_gate_refuses(affine):
    with pytest.raises(InputError) as gate:
        check_affine("scans/a.nii.gz", affine)
    found = refusal(GOOD, affine)
    assert (found.code, found.reason) == (gate.value.code, gate.value.reason)


@pytest.mark.parametrize(
    ("array", "affine", "code"),
    [
        (GOOD[0], np.eye(4), "WRONG_DIMENSION"),
        (GOOD[:0], np.eye(4), "WRONG_DIMENSION"),
        (GOOD.astype(np.complex64), np.eye(4), "NOT_GREYSCALE"),
        (GOOD, np.eye(3), "NO_GEOMETRY"),
    ],
)
def test_what_no_file_can_be(array, affine, code):
    assert refusal(array, affine).code == code


def test_good_ones_pass_and_the_error_survives_a_process():
    for dtype in (np.float32, np.int16, np.uint8):
        check_volume(SimpleNamespace(array=(GOOD * 100).astype(dtype), affine=np.diag([-1.0, 1, 5.5, 1])))
    error = pickle.loads(pickle.dumps(VolumeError("a", "NAN", "bad")))
    assert (error.code, str(error)) == ("NAN", "a: bad [NAN]")
