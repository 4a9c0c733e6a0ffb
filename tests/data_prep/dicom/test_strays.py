"""Images that are no slices are set aside one by one and named, whatever their files are called."""

import numpy as np
import pydicom
import pytest
from dicom_maker import frame, instance, slices, write_frames, write_series
from pydicom import uid as uids
from test_dicom_series import assert_same_world, put_loosely

from data_prep import discover, list_cases, read_volume

AXIAL = ((1.0, 0, 0), (0, 1.0, 0))
MIDDLE = (-30.0, 12.5, 55.0)


def classed(kind, **values):
    """A change of a stray: its class and more."""

    def change(dataset):
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = kind
        for name, value in values.items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)

    return change


def colour(dataset):
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = bytes(3 * dataset.Rows * dataset.Columns)


def mask(dataset):
    classed(uids.SegmentationStorage, Modality="SEG", BitsAllocated=1, BitsStored=1, HighBit=0)(dataset)
    dataset.PixelData = bytes(18)


def dose(dataset):
    classed(uids.RTDoseStorage, Modality="RTDOSE", NumberOfFrames=4)(dataset)
    dataset.PixelData = dataset.PixelData * 4


UNPLACED = {"ImagePositionPatient": None, "ImageOrientationPatient": None}
STRAYS = {
    "a colour capture": (colour, "NOT_GREYSCALE"),
    "a palette": (classed(uids.MRImageStorage, PhotometricInterpretation="PALETTE COLOR"), "NOT_GREYSCALE"),
    "a grey capture of another modality": (classed(uids.SecondaryCaptureImageStorage, Modality="OT"), "OUT_OF_DOMAIN"),
    "a grey capture without a place": (classed(uids.SecondaryCaptureImageStorage, **UNPLACED), "SINGLE_SLICE"),
    "a dose grid": (dose, "OUT_OF_DOMAIN"),
    "a segmentation": (mask, "OUT_OF_DOMAIN"),
    "a localizer": (classed(uids.MRImageStorage, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "LOCALIZER"),
    "a monitoring slice": (classed(uids.MRImageStorage, AcquisitionNumber=7), "SINGLE_SLICE"),
    "a screenshot with a place": (
        classed(uids.SecondaryCaptureImageStorage, ImageType=["DERIVED", "SECONDARY"]),
        "SINGLE_SLICE",
    ),
    "a picture of another size": (classed(uids.MRImageStorage, Rows=5, Columns=28), "SINGLE_SLICE"),
    "a phase image": (classed(uids.MRImageStorage, ComplexImageComponent="PHASE"), "SINGLE_SLICE"),
}


def write_stray(path, change, *, position=MIDDLE):
    dataset = instance(np.full((10, 14), 77, np.uint16), position, AXIAL, number=500)
    change(dataset)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)


@pytest.mark.parametrize("name", STRAYS)
@pytest.mark.parametrize("file", ["0-first", "z-last"])
def test_a_stray_is_set_aside_and_named(tmp_path, name, file):
    change, code = STRAYS[name]
    array, affine = write_series(tmp_path, angle=0.0)
    write_stray(tmp_path / file, change)
    volume, aside = discover(tmp_path)
    assert (volume.code, aside.code) == ("", code)
    assert volume.place == str(tmp_path)
    assert file in aside.reason
    assert aside.sources == tuple(source for source in aside.sources if source.name == file)
    assert_same_world(volume.volume(), array, affine)
    assert_same_world(read_volume(tmp_path), array, affine)
    assert [case.skipped for case in list_cases(tmp_path)] == [False, True]


def test_ten_monitoring_slices_of_one_place_are_one_entry(tmp_path):
    array, affine = write_series(tmp_path, angle=0.0)
    for number in range(10):
        dataset = instance(np.full((10, 14), number, np.uint16), (-30.0, 12.5, 41.3), AXIAL, number=500 + number)
        dataset.AcquisitionNumber = 9
        pydicom.dcmwrite(tmp_path / f"m{number}", dataset, enforce_file_format=True)
    volume, aside = discover(tmp_path)
    assert (aside.code, aside.files) == ("SINGLE_SLICE", 10)
    assert_same_world(volume.volume(), array, affine)


def test_what_may_be_a_lost_slice_is_never_set_aside(tmp_path):
    write_series(tmp_path, angle=0.0)
    last = sorted(tmp_path.iterdir())[-1]
    content = last.read_bytes()
    for length in range(140, len(content), 7):
        last.write_bytes(content[:length])
        assert not any(one.verdict.value == "ACCEPT" for one in discover(tmp_path)), length


def test_a_single_image_of_another_size_in_the_place_of_the_next_slice_is_refused(tmp_path):
    write_series(tmp_path, angle=0.0)
    write_stray(tmp_path / "x", classed(uids.MRImageStorage, Rows=5, Columns=28), position=(-30.0, 12.5, 40 + 12 * 3.0))
    (series,) = discover(tmp_path)
    assert series.code == "MIXED_GRID"


def test_objects_without_an_image_in_a_series_are_named(tmp_path):
    write_series(tmp_path)
    for kind, modality in (
        (uids.GrayscaleSoftcopyPresentationStateStorage, "PR"),
        (uids.KeyObjectSelectionDocumentStorage, "KO"),
    ):
        note = instance(np.zeros((4, 4)), MIDDLE, AXIAL)
        for name in ("Rows", "Columns", "PixelData"):
            delattr(note, name)
        note.Modality, note.SOPClassUID = modality, kind
        note.SOPInstanceUID = note.file_meta.MediaStorageSOPInstanceUID = f"{kind}.7"
        note.save_as(tmp_path / modality)
    volume, aside = discover(tmp_path)
    assert (volume.code, aside.code, aside.files) == ("", "NO_PIXELS", 2)
    assert "KO" in aside.reason


def test_secondary_captures_with_geometry_are_a_volume(tmp_path):
    def change(k, dataset):
        classed(uids.SecondaryCaptureImageStorage)(dataset)

    array, affine = write_series(tmp_path, change=change)
    assert_same_world(read_volume(tmp_path), array, affine)


def test_pictures_alone_have_no_geometry(tmp_path):
    def change(k, dataset):
        classed(uids.SecondaryCaptureImageStorage, **UNPLACED)(dataset)

    write_series(tmp_path, change=change)
    (series,) = discover(tmp_path)
    assert series.code == "NO_GEOMETRY"


# --- the same slice twice ------------------------------------------------------------------------------------------


def twice(folder, *, index=4, **values):
    dataset = pydicom.dcmread(sorted(folder.iterdir())[index])
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.77.1"
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.save_as(folder / "twice")


def test_a_slice_twice_with_equal_pixels_counts_once(tmp_path):
    array, affine = write_series(tmp_path)
    twice(tmp_path, InstanceNumber=99, ContentTime="101010")
    (series,) = discover(tmp_path)
    assert_same_world(series.volume(), array, affine)


def test_all_slices_twice_with_equal_pixels_are_one_volume(tmp_path):
    array, affine = write_series(tmp_path)
    for number, file in enumerate(sorted(tmp_path.iterdir())):
        dataset = pydicom.dcmread(file)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.77.{number}"
        dataset.save_as(tmp_path / f"twice-{number}")
    (series,) = discover(tmp_path)
    assert_same_world(series.volume(), array, affine)


def test_a_slice_twice_with_other_pixels_is_a_conflict(tmp_path):
    write_series(tmp_path)
    twice(tmp_path, PixelData=bytes(280))
    (series,) = discover(tmp_path)
    assert series.code == "DUPLICATE_CONFLICT"


def test_equal_data_sets_in_files_of_other_meta_information_are_one(tmp_path):
    array, affine = write_series(tmp_path)
    dataset = pydicom.dcmread(sorted(tmp_path.iterdir())[3])
    dataset.file_meta.ImplementationVersionName = "OTHER"
    dataset.save_as(tmp_path / "meta")
    dataset.file_meta.TransferSyntaxUID = uids.ImplicitVRLittleEndian
    dataset.save_as(tmp_path / "implicit", implicit_vr=True, little_endian=True)
    (series,) = discover(tmp_path)
    assert_same_world(series.volume(), array, affine)


@pytest.mark.parametrize("change", ["pixels", "position", "slope"])
def test_one_identity_and_two_contents_are_a_conflict(tmp_path, change):
    write_series(tmp_path)
    dataset = pydicom.dcmread(sorted(tmp_path.iterdir())[3])
    if change == "pixels":
        dataset.PixelData = bytes(280)
    elif change == "position":
        put_loosely(dataset, "ImagePositionPatient", ["0", "0", "0"])
    else:
        dataset.RescaleSlope, dataset.RescaleIntercept = "2", "0"
    dataset.save_as(tmp_path / "other")
    (series,) = discover(tmp_path)
    assert series.code == "DUPLICATE_CONFLICT"


def test_one_identity_and_frames_in_two_places_are_a_conflict(tmp_path):
    for name, start in (("a", 0.0), ("b", 50.0)):
        write_frames(tmp_path / name, [frame(start + 3.0 * k) for k in range(5)], slices(5))
    (series,) = discover(tmp_path)
    assert series.code == "DUPLICATE_CONFLICT"
