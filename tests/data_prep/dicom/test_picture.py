"""Single DICOM images: films, ultrasound, photographs, one slice of MR."""

import numpy as np
import pytest
from dicom_maker import write_series
from pydicom import Dataset

from data_prep import discover, list_cases, read_volume, volumes_or_pictures
from data_prep.volume import NO_ORIENTATION, NO_SIZE

UNPLACED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID")


def film(modality="DX", **more):
    """Changes an MR slice into an image that does not say where it lies."""

    def change(_, dataset):
        for name in UNPLACED:
            delattr(dataset, name)
        dataset.Modality = modality
        for name, value in more.items():
            setattr(dataset, name, value)

    return change


def region(delta=(0.02, 0.03), unit=3):
    found = Dataset()
    found.PhysicalDeltaX, found.PhysicalDeltaY = delta
    found.PhysicalUnitsXDirection = found.PhysicalUnitsYDirection = unit
    return found


@pytest.mark.parametrize("modality", ["CR", "DX", "MG", "US", "OP", "OPT"])
def test_a_film_is_a_volume_of_one_slice(tmp_path, modality):
    array, _ = write_series(tmp_path, slices=1, change=film(modality))
    (series,) = discover(tmp_path, flat=True)
    assert (series.code, series.shape, series.modality) == ("", (14, 10, 1), modality)
    volume = series.volume()
    np.testing.assert_array_equal(volume.array, array)
    assert volume.flags == (NO_ORIENTATION, NO_SIZE)
    np.testing.assert_array_equal(volume.affine, np.diag([-1, -1, 1, 1]))
    np.testing.assert_array_equal(read_volume(tmp_path, flat=True).array, array)


@pytest.mark.parametrize(
    ("header", "spacing"),
    [
        ({"PixelSpacing": [0.2, 0.3]}, (0.3, 0.2)),
        ({"ImagerPixelSpacing": [0.14, 0.15]}, (0.15, 0.14)),
        ({"NominalScannedPixelSpacing": [0.5, 0.6]}, (0.6, 0.5)),
        ({"SequenceOfUltrasoundRegions": [region()]}, (0.2, 0.3)),
        ({"PixelSpacing": [0.004, 0.012]}, (0.012, 0.004)),
    ],
)
def test_the_pixel_size_is_found_where_it_is_said(tmp_path, header, spacing):
    write_series(tmp_path, slices=1, change=film("US", **header))
    (series,) = discover(tmp_path, flat=True)
    assert series.flags == (NO_ORIENTATION,)
    np.testing.assert_allclose(series.volume().spacing, (*spacing, 1), rtol=1e-6)


@pytest.mark.parametrize("regions", [[region(), region((0.5, 0.5))], [region(unit=4)], [region((0, 0))]])
def test_regions_that_do_not_agree_on_lengths_say_no_size(tmp_path, regions):
    write_series(tmp_path, slices=1, change=film("US", SequenceOfUltrasoundRegions=regions))
    (series,) = discover(tmp_path, flat=True)
    assert NO_SIZE in series.flags


def test_two_views_of_one_series_are_two_pictures(tmp_path):
    array, _ = write_series(tmp_path, slices=2, change=film("CR"))
    found = list_cases(tmp_path, flat=True)
    assert [case.series.code for case in found] == ["", ""]
    assert len({case.name for case in found}) == 2
    pixels = [case.volume().array for case in found]
    assert {pixel.tobytes() for pixel in pixels} == {array[..., [k]].tobytes() for k in range(2)}
    for case in found:
        np.testing.assert_array_equal(read_volume(case.image, flat=True).array, case.volume().array)


def test_bright_is_high_in_a_film_that_is_shown_inverted(tmp_path):
    array, _ = write_series(tmp_path, slices=1, change=film("DX", PhotometricInterpretation="MONOCHROME1"))
    (series,) = discover(tmp_path, flat=True)
    np.testing.assert_array_equal(series.volume().array, 65535 - array)
    assert "inverted" in series.flags


def test_one_slice_of_mr_keeps_its_place_and_needs_to_be_asked_for(tmp_path):
    array, affine = write_series(tmp_path, slices=1, gap=1.0)
    assert [series.code for series in discover(tmp_path)] == ["SINGLE_SLICE"]
    assert [series.code for series in discover(tmp_path, flat=False)] == ["SINGLE_SLICE"]
    (series,) = discover(tmp_path, flat=True)
    np.testing.assert_array_equal(series.volume().array, array)
    np.testing.assert_allclose(series.volume().affine, affine, atol=1e-9)
    assert series.flags == ()


def test_a_monitoring_slice_beside_a_volume_is_no_picture(tmp_path):
    write_series(tmp_path / "a", slices=6)
    write_series(tmp_path / "b", slices=1, uid="1.2.7")
    assert sorted(series.code for series in discover(tmp_path, flat=True)) == ["", "MANY_SLICES"]
    assert [case.series.shape[2] for case in volumes_or_pictures(tmp_path) if not case.skipped] == [6]


def test_frames_without_a_place_are_refused(tmp_path):
    def change(k, dataset):
        film("US")(k, dataset)
        dataset.NumberOfFrames, dataset.PixelData = 4, dataset.PixelData * 4

    write_series(tmp_path, slices=1, change=change)
    assert [series.code for series in discover(tmp_path, flat=True)] == ["UNSUPPORTED_MULTIFRAME"]


def test_volumes_pass_over_films(tmp_path):
    write_series(tmp_path, slices=1, change=film("DX"))
    assert [series.code for series in discover(tmp_path)] == ["OUT_OF_DOMAIN"]
    assert [series.code for series in discover(tmp_path, flat=False, modalities=["DX"])] == ["SINGLE_SLICE"]
    (case,) = volumes_or_pictures(tmp_path)
    assert not case.skipped
