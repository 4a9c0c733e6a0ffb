"""DICOM series: the right voxels in the right place, or a reason."""

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_maker import write_series
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import InputError, list_cases, read_volume

KINDS = ("rle", "jpegls", "j2k", "jpeg")
PLAIN = ("001", "001_implicit", "002_non_isotropic")


def assert_same_world(volume, array, affine, *, atol=1e-3):
    """Every voxel of `volume` lies on a voxel of `array` and has its value."""
    to_other = np.linalg.inv(affine) @ volume.affine
    index = np.indices(volume.shape).reshape(3, -1)
    place = to_other[:3, :3] @ index + to_other[:3, 3:]
    assert np.abs(place - np.rint(place)).max() < atol
    found = array[tuple(np.rint(place).astype(int))]
    np.testing.assert_allclose(volume.array.ravel(), found, atol=1e-4)
    assert volume.array.size == array.size


@settings(max_examples=15, deadline=None)
@given(st.floats(-1.5, 1.5), st.floats(0.7, 9), st.integers(2, 9), st.booleans())
def test_oblique_series_of_any_spacing(tmp_path_factory, angle, gap, slices, reverse):
    folder = tmp_path_factory.mktemp("series")
    array, affine = write_series(folder, slices=slices, gap=gap, angle=angle, reverse=reverse)
    assert_same_world(read_volume(folder), array, affine)


@pytest.mark.parametrize("degrees", [-25.0, 3.0, 18.5])
def test_a_tilted_gantry_keeps_its_true_affine(tmp_path, degrees):
    def tilt(k, dataset):
        x, y, z = (float(value) for value in dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = [x, round(y + 3.0 * k * np.tan(np.radians(degrees)), 9), z]

    array, affine = write_series(tmp_path, angle=0.0, change=tilt)
    affine[1, 2] = -3.0 * np.tan(np.radians(degrees))
    volume = read_volume(tmp_path)
    assert volume.flags == ("gantry_tilt",)
    assert_same_world(volume, array, affine)


def test_as_highdicom_reads_it(tmp_path):
    import highdicom

    write_series(tmp_path, angle=0.4, reverse=True)
    other = highdicom.get_volume_from_series([pydicom.dcmread(file) for file in sorted(tmp_path.iterdir())])
    affine = np.diag([-1, -1, 1, 1]) @ other.affine
    assert_same_world(read_volume(tmp_path), np.asarray(other.array), affine)


def drop(*gone):
    return lambda k, dataset: k not in gone


def put(index, *, also=None, **values):
    def change(k, dataset):
        for name, value in values.items() if k in (index, also) else ():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)

    return change


def put_loosely(dataset, tag, value):
    """Set what the standard forbids, without pydicom's warning."""
    delattr(dataset, tag)
    with pydicom.config.disable_value_validation():
        setattr(dataset, tag, value)


def unplaced(k, dataset):
    if k == 3:
        put_loosely(dataset, "ImagePositionPatient", ["0", "0", "nan"])


def move(index, by):
    def change(k, dataset):
        if k == index:
            z = float(dataset.ImagePositionPatient[2])
            dataset.ImagePositionPatient = [*dataset.ImagePositionPatient[:2], z + by]

    return change


def shift(index, by):
    def change(k, dataset):
        if k == index:
            x, y, z = dataset.ImagePositionPatient
            dataset.ImagePositionPatient = [x + by, y, z]

    return change


def fold(k, dataset):
    """The second half of the slices where the first half is."""
    x, y, z = (float(value) for value in dataset.ImagePositionPatient)
    dataset.ImagePositionPatient = [x, y, z - 18.0 * (k >= 6)]


def skew(k, dataset):
    dataset.ImageOrientationPatient = [1, 0, 0, 0.2, 0.98, 0]


def later(index, **values):
    def change(k, dataset):
        if k >= index:
            put(k, **values)(k, dataset)

    return change


def frames(k, dataset):
    dataset.NumberOfFrames, dataset.PixelData = 4, dataset.PixelData * 4


BAD = {
    "a missing slice": (drop(5), "MISSING_SLICES"),
    "three missing slices": (drop(4, 5, 8), "MISSING_SLICES"),
    "two slices at one place": (move(6, -3.0), "DUPLICATE_CONFLICT"),
    "a slice out of line": (move(6, 1.2), "VARIABLE_SPACING"),
    "a slice half a tenth too high": (move(6, 0.12), "VARIABLE_SPACING"),
    "a slice shifted sideways": (shift(6, 0.5), "VARIABLE_SPACING"),
    "two volumes one over the other": (fold, "MULTI_VOLUME"),
    "an image twice, with two contents": (put(6, SOPInstanceUID="1.2.3.4", also=5), "DUPLICATE_CONFLICT"),
    "two patients": (put(6, PatientID="OTHER"), "MIXED_PATIENTS"),
    "two names of one identifier": (later(6, PatientName="OTHER^NAME"), "MIXED_PATIENTS"),
    "position is no number": (unplaced, "NO_GEOMETRY"),
    "directions not at right angles": (skew, "NO_GEOMETRY"),
    "grey scale turned round in one slice": (put(3, PhotometricInterpretation="MONOCHROME1"), "MIXED_GRID"),
    "mosaic": (put(3, ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), "UNSUPPORTED_MULTIFRAME"),
    "no position": (put(3, ImagePositionPatient=None), "NO_GEOMETRY"),
    "no orientation": (put(3, ImageOrientationPatient=None), "NO_GEOMETRY"),
    "no pixel spacing": (put(3, PixelSpacing=None), "NO_GEOMETRY"),
    "pixel spacing varies": (put(3, PixelSpacing=[0.8, 1.0]), "MIXED_GRID"),
    "a localizer in place of a slice": (put(3, ImageOrientationPatient=[0, 1, 0, 0, 0, -1]), "MISSING_SLICES"),
    "a slice turned a little": (put(3, ImageOrientationPatient=[0.9998, 0.02, 0, -0.02, 0.9998, 0]), "MIXED_GRID"),
    "two echoes": (later(6, EchoTime=90.0), "MULTI_VOLUME"),
    "truncated pixels": (put(3, PixelData=b"\0" * 100), "TRUNCATED"),
    "no pixels": (put(3, PixelData=None), "TRUNCATED"),
    "colour": (lambda k, dataset: setattr(dataset, "PhotometricInterpretation", "RGB"), "NOT_GREYSCALE"),
    "frames without functional groups": (frames, "UNSUPPORTED_MULTIFRAME"),
    "a single slice": (lambda k, dataset: k == 0, "SINGLE_SLICE"),
    "empty": (lambda k, dataset: setattr(dataset, "PixelData", b"\0" * 280), "EMPTY"),
}


@pytest.mark.parametrize("name", BAD)
def test_unsafe_series_are_refused_with_a_reason(tmp_path, name):
    change, code = BAD[name]
    write_series(tmp_path / "series", angle=0.0, change=change)
    with pytest.raises(InputError) as caught:
        read_volume(tmp_path / "series")
    assert caught.value.code == code, str(caught.value)
    assert str(tmp_path / "series") in str(caught.value)


def test_slopes_that_differ_between_slices_are_applied(tmp_path):
    def change(k, dataset):
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{0.5 + 0.25 * k}", str(k)

    array, affine = write_series(tmp_path, change=change)
    k = np.arange(array.shape[-1])
    assert_same_world(read_volume(tmp_path), array * (0.5 + 0.25 * k) + k, affine)


def test_over_long_decimal_strings_keep_the_geometry(tmp_path):
    def change(k, dataset):
        position = [f"{float(value):.18f}" for value in dataset.ImagePositionPatient]
        put_loosely(dataset, "ImagePositionPatient", position)

    array, affine = write_series(tmp_path, change=change)
    assert_same_world(read_volume(tmp_path), array, affine)


def test_inverted_grey_scale_is_turned_round_once(tmp_path):
    def change(k, dataset):
        dataset.PhotometricInterpretation, dataset.BitsStored, dataset.HighBit = "MONOCHROME1", 12, 11

    array, affine = write_series(tmp_path, change=change)
    assert_same_world(read_volume(tmp_path), 4095 - array.astype(int), affine)


@pytest.mark.parametrize("name", ["Test^Series^^", "", "TEST SERIES"])
def test_one_name_in_several_spellings_is_one_patient(tmp_path, name):
    array, affine = write_series(tmp_path, change=put(3, PatientName=name))
    assert_same_world(read_volume(tmp_path), array, affine)


def test_signed_pixels(tmp_path):
    def change(k, dataset):
        pixels = np.frombuffer(dataset.PixelData, np.uint16).astype(np.int16) - 400
        dataset.PixelData, dataset.PixelRepresentation = pixels.tobytes(), 1

    array, affine = write_series(tmp_path, change=change)
    volume = read_volume(tmp_path)
    assert volume.array.dtype == np.int16
    assert_same_world(volume, array.astype(int) - 400, affine)


def test_positions_rounded_to_a_twentieth_of_a_millimetre_are_regular(tmp_path):
    def change(k, dataset):
        dataset.ImagePositionPatient = [round(float(value) * 20) / 20 for value in dataset.ImagePositionPatient]

    _, affine = write_series(tmp_path, change=change)
    assert np.abs(read_volume(tmp_path).affine - affine).max() < 0.05


def test_a_file_cut_anywhere_is_refused_and_never_filled_up(tmp_path):
    write_series(tmp_path, slices=4)
    file = sorted(tmp_path.iterdir())[-1]
    content = file.read_bytes()
    for length in range(140, len(content), 23):
        file.write_bytes(content[:length])
        with pytest.raises(InputError):
            read_volume(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_compressed_files_that_break_off_are_refused(shared_data, tmp_path, kind):
    for file in (shared_data / "dicom" / "generic" / f"compressed_{kind}" / "001").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    file = sorted(tmp_path.iterdir())[1]
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(InputError, match=rf"{file.name}.*TRUNCATED"):
        read_volume(tmp_path)


def test_what_is_called_dicom_and_is_none_may_be_a_lost_slice(tmp_path):
    write_series(tmp_path)
    (tmp_path / "lost.dcm").write_bytes(b"")
    with pytest.raises(InputError, match=r"lost\.dcm .* may be missing"):
        read_volume(tmp_path)


def test_files_without_the_part_10_preamble(tmp_path):
    array, affine = write_series(tmp_path)
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[132:])
    assert_same_world(read_volume(tmp_path), array, affine)


def test_equal_copies_count_once(tmp_path):
    array, affine = write_series(tmp_path / "a")
    write_series(tmp_path / "b")
    assert len(list_cases(tmp_path)) == 1
    assert_same_world(read_volume(tmp_path), array, affine)


def test_one_series_name_for_two_contents_gives_two_cases(tmp_path):
    """As an anonymiser leaves it that gives every patient the same UIDs."""
    written = [write_series(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    cases = list_cases(tmp_path)
    assert [case.name for case in cases] == [cases[0].name, f"{cases[0].name}-2"]
    for case, (array, affine) in zip(cases, written, strict=True):
        assert_same_world(read_volume(case.image), array, affine)


def test_a_series_spread_over_folders_is_read_whole(tmp_path):
    array, affine = write_series(tmp_path / "all")
    (tmp_path / "more").mkdir()
    for file in sorted((tmp_path / "all").iterdir())[8:]:
        file.rename(tmp_path / "more" / file.name)
    (case,) = list_cases(tmp_path)
    assert_same_world(read_volume(case.image), array, affine)
    write_series(tmp_path / "other", uid="1.2.5")
    case = next(case for case in list_cases(tmp_path) if case.series_uid == "1.2.3")
    assert_same_world(read_volume(case.image), array, affine)
    with pytest.raises(InputError, match="MULTI_VOLUME"):
        read_volume(tmp_path)


def test_reports_and_media_directories_are_passed_over(tmp_path):
    write_series(tmp_path)
    report = pydicom.dcmread(next(tmp_path.iterdir()))
    for name in ("Rows", "Columns", "PixelData"):
        delattr(report, name)
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"  # basic text SR
    report.SeriesInstanceUID = "1.2.6"
    report.save_as(tmp_path / "report.dcm")
    assert [(case.series_uid, case.skipped) for case in list_cases(tmp_path)] == [("1.2.3", False), ("1.2.6", True)]
    with pytest.raises(InputError, match="NO_PIXELS"):
        read_volume(tmp_path / "report.dcm")


def test_flat_folder_of_several_series_with_junk(tmp_path):
    arrays = {uid: write_series(tmp_path, uid=uid, seed=seed) for seed, uid in enumerate(("1.2.3", "1.2.4"))}
    (tmp_path / "README.txt").write_text("nothing")
    (tmp_path / "DICOMDIR").write_bytes(b"DICM")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    cases = list_cases(tmp_path)
    assert {case.series_uid for case in cases} == set(arrays)
    for case in cases:
        assert_same_world(read_volume(case.image), *arrays[case.series_uid])
    with pytest.raises(InputError, match="2 series"):
        read_volume(tmp_path)


def test_hash_and_name_depend_on_content_not_on_file_names(tmp_path):
    write_series(tmp_path / "one")
    write_series(tmp_path / "two")
    for index, file in enumerate(sorted((tmp_path / "two").iterdir(), reverse=True)):
        file.rename(file.with_name(f"x{index:02d}.dcm"))
    write_series(tmp_path / "three", seed=1)
    one, two, three = (read_volume(tmp_path / name) for name in ("one", "two", "three"))
    assert one.input_hash == two.input_hash != three.input_hash
    assert list_cases(tmp_path / "one")[0].name == list_cases(tmp_path / "two")[0].name
    assert "1.2.3" not in list_cases(tmp_path / "one")[0].name


def test_real_series_is_where_an_independent_tool_puts_it(shared_data):
    reference = nib.load(shared_data / "brainix" / "flair_reference.nii.gz")
    volume = read_volume(shared_data / "brainix" / "FLAIR")
    assert_same_world(volume, np.asarray(reference.dataobj), reference.affine)


@pytest.mark.parametrize(
    "series",
    [*(f"compressed_{kind}/001" for kind in KINDS), *(f"anatomical/{name}" for name in PLAIN)],
)
def test_real_compressed_series_are_exact(shared_data, series):
    reference = nib.load(shared_data / "dicom" / "generic" / f"{series}_ground_truth.nii.gz")
    volume = read_volume(shared_data / "dicom" / "generic" / series)
    assert_same_world(volume, np.asarray(reference.dataobj), reference.affine)


@pytest.mark.parametrize(
    ("series", "code"),
    [
        ("siemens_fmri/mr_0003", "UNSUPPORTED_MULTIFRAME"),
        ("ge_ct", "VARIABLE_SPACING"),
    ],
)
def test_real_series_that_are_no_single_volume_are_refused(shared_data, series, code):
    with pytest.raises(InputError) as caught:
        read_volume(shared_data / "dicom" / series)
    assert caught.value.code == code
