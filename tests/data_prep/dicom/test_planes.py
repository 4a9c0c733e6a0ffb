"""Slabs, reformats, localizers and turned slices: told by what they are, not by how many."""

from collections import Counter

import numpy as np
import pydicom
import pytest
from dicom_maker import instance, write_series
from test_dicom_series import assert_same_world

from data_prep import discover

AXIAL, SAGITTAL, CORONAL = (
    ((1.0, 0, 0), (0, 1.0, 0)),
    ((0, 1.0, 0), (0, 0, -1.0)),
    ((1.0, 0, 0), (0, 0, -1.0)),
)


def tilted(degrees):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (1.0, 0, 0), (0, cos, -sin)


def write_planes(folder, planes, *, gap=4.0, middle=(0.0, 0.0, 0.0), **values):
    """Slabs, `[(directions, slices), ...]`, all through one middle."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    number = 0
    for directions, count in planes:
        normal = np.cross(*directions)
        corner = np.array(middle) - np.array(directions[0]) * 0.9 * 6.5 - np.array(directions[1]) * 0.8 * 4.5
        for k in range(count):
            number += 1
            pixels = rng.integers(0, 900, (10, 14)).astype(np.uint16)
            place = corner + (k - (count - 1) / 2) * gap * normal
            dataset = instance(pixels, place, directions, number=number)
            for name, value in values.items():
                setattr(dataset, name, value)
            pydicom.dcmwrite(folder / f"{number:03d}", dataset, enforce_file_format=True)


def codes(folder, **options):
    return Counter((one.code, one.shape[2]) for one in discover(folder, **options))


@pytest.mark.parametrize("each", [1, 3, 5])
def test_three_crossing_planes_of_few_slices_are_a_localizer(tmp_path, each):
    write_planes(tmp_path, [(AXIAL, each), (SAGITTAL, each), (CORONAL, each)], gap=10.0)
    assert codes(tmp_path) == {("LOCALIZER", each): 3}


def test_planes_of_unequal_numbers_too(tmp_path):
    write_planes(tmp_path, [(SAGITTAL, 5), (AXIAL, 3), (CORONAL, 3)], gap=10.0)
    assert {code for code, _ in codes(tmp_path)} == {"LOCALIZER"}


def test_reformats_in_three_planes_are_volumes(tmp_path):
    planes = [(AXIAL, 12), (SAGITTAL, 14), (CORONAL, 10)]
    write_planes(tmp_path, planes, ImageType=["DERIVED", "SECONDARY", "MPR"])
    assert codes(tmp_path) == {("", 12): 1, ("", 14): 1, ("", 10): 1}


def test_derived_planes_of_few_slices_are_volumes(tmp_path):
    write_planes(tmp_path, [(AXIAL, 4), (SAGITTAL, 4), (CORONAL, 4)], ImageType=["DERIVED", "SECONDARY", "MPR"])
    assert codes(tmp_path) == {("", 4): 3}


@pytest.mark.parametrize("angles", [(-20, -8, 0, 9, 25), (0, 4, 8, 12), (0, 40)])
@pytest.mark.parametrize("each", [3, 4, 6])
def test_slabs_at_several_angles_are_volumes(tmp_path, angles, each):
    write_planes(tmp_path, [(tilted(angle), each) for angle in angles])
    assert codes(tmp_path) == {("", each): len(angles)}


def test_a_volume_of_few_slices_beside_one_scout(tmp_path):
    write_planes(tmp_path, [(AXIAL, 4), (SAGITTAL, 1)])
    assert codes(tmp_path) == {("", 4): 1, ("LOCALIZER", 1): 1}


def test_images_called_localizer_do_not_take_the_volume_with_them(tmp_path):
    """A scout in the direction of the volume's slices."""
    array, affine = write_series(tmp_path, angle=0.0)
    dataset = instance(np.zeros((10, 14)), (0, 0, 300.0), AXIAL, number=99)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    dataset.save_as(tmp_path / "0-scout")
    volume, scout = discover(tmp_path)
    assert scout.code == "LOCALIZER"
    assert_same_world(volume.volume(), array, affine)


def turn(index, degrees):
    def change(k, dataset):
        if k == index:
            dataset.ImageOrientationPatient = [round(float(v), 6) for v in np.concatenate(tilted(degrees))]

    return change


@pytest.mark.parametrize("degrees", [30, 90])
@pytest.mark.parametrize("index", [0, 11])
def test_a_volume_that_lost_a_turned_end_slice_says_so(tmp_path, index, degrees):
    write_series(tmp_path, angle=0.0, change=turn(index, degrees))
    volume, aside = discover(tmp_path)
    assert (volume.shape[2], volume.flags) == (11, ("end_slice_lost",))
    assert aside.shape[2] == 1
    assert volume.volume().flags == ("end_slice_lost",)


@pytest.mark.parametrize(("degrees", "codes"), [(30, {"MISSING_SLICES", "SINGLE_SLICE"}), (3, {"MIXED_GRID"})])
def test_a_turned_slice_in_the_middle_is_no_localizer(tmp_path, degrees, codes):
    write_series(tmp_path, angle=0.0, change=turn(5, degrees))
    assert {one.code for one in discover(tmp_path)} == codes


@pytest.mark.parametrize("index", [0, 11])
def test_an_end_slice_turned_a_little_is_refused(tmp_path, index):
    write_series(tmp_path, angle=0.0, change=turn(index, 3))
    (series,) = discover(tmp_path)
    assert series.code == "MIXED_GRID"


def test_the_patient_turned_over_in_the_middle(tmp_path):
    def change(k, dataset):
        dataset.PatientPosition = "HFS" if k < 6 else "HFP"

    write_series(tmp_path, change=change)
    (series,) = discover(tmp_path)
    assert series.code == "MIXED_GRID"


@pytest.mark.parametrize("flip", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_feet_first_and_mirrored_directions(tmp_path, flip):
    row, column = np.array([1.0, 0, 0]) * flip[0], np.array([0, 1.0, 0]) * flip[1]
    rng = np.random.default_rng(1)
    values = {}
    for k in range(6):
        pixels = rng.integers(0, 900, (10, 14)).astype(np.uint16)
        values[k] = pixels
        dataset = instance(pixels, (5.0, 6.0, -2.5 * k), (row, column), number=k)
        dataset.PatientPosition = "FFS"
        dataset.save_as(tmp_path / f"{k}")
    (series,) = discover(tmp_path)
    volume = series.volume()
    for k, pixels in values.items():
        place = np.linalg.inv(volume.affine) @ [-5.0, -6.0, -2.5 * k, 1]
        np.testing.assert_allclose(place[:2], 0, atol=1e-6)
        np.testing.assert_array_equal(volume.array[..., round(place[2])], pixels.T)
