"""Pictures as volumes of one slice: pixels, sizes, colours, and what is refused."""

import hashlib
import json
import zipfile

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_prep import InputError, discover, list_cases, read_volume
from data_prep.cohort.steps import save
from data_prep.find.passed import PassedOver
from data_prep.formats.picture import read_picture
from data_prep.formats.source import Source
from data_prep.volume import NO_ORIENTATION, NO_SIZE

GREY = np.random.default_rng(0).integers(0, 256, (7, 5)).astype(np.uint8)  # rows, columns
DEEP = np.random.default_rng(1).integers(0, 65536, (7, 5)).astype(np.uint16)
COLOUR = np.random.default_rng(2).integers(0, 256, (7, 5, 3)).astype(np.uint8)
EXACT = [".png", ".tif", ".tiff", ".bmp"]


@pytest.mark.parametrize("suffix", EXACT)
def test_grey_pixels_come_back(tmp_path, suffix):
    Image.fromarray(GREY).save(tmp_path / f"a{suffix}")
    volume = read_volume(tmp_path / f"a{suffix}")
    assert volume.shape == (5, 7, 1)
    assert volume.array.dtype == np.uint8
    np.testing.assert_array_equal(volume.array[..., 0], GREY.T)
    assert volume.input_hash == hashlib.sha256((tmp_path / f"a{suffix}").read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_stay_sixteen(tmp_path, suffix):
    Image.fromarray(DEEP).save(tmp_path / f"a{suffix}")
    volume = read_volume(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(volume.array[..., 0], DEEP.T)
    assert volume.array.dtype == np.uint16


def test_numbers_of_a_tiff_stay_as_they_are(tmp_path):
    values = np.linspace(-3, 4, 35, dtype=np.float32).reshape(7, 5)
    Image.fromarray(values).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.tif").array[..., 0], values.T)


def test_a_jpeg_is_near_to_what_was_written(tmp_path):
    smooth = np.add.outer(np.arange(32), np.arange(40)).astype(np.uint8) * 3
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    volume = read_volume(tmp_path / "a.jpg")
    assert np.abs(volume.array[..., 0].astype(int) - smooth.T).max() < 6


def test_a_picture_lies_as_itk_puts_it(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    volume, itk = read_volume(tmp_path / "a.png"), SimpleITK.ReadImage(str(tmp_path / "a.png"))
    np.testing.assert_array_equal(volume.array[..., 0], SimpleITK.GetArrayFromImage(itk).T)
    corner = volume.affine @ [4, 6, 0, 1]
    np.testing.assert_allclose(corner[:2] * (-1, -1), itk.TransformIndexToPhysicalPoint((4, 6)), rtol=1e-3)


@given(st.tuples(st.integers(2, 200), st.integers(2, 200)))
def test_pixel_sizes_of_the_file_are_taken(tmp_path_factory, per_cm):
    path = tmp_path_factory.mktemp("sized") / "a.png"
    Image.fromarray(GREY).save(path, dpi=tuple(number * 2.54 for number in per_cm))
    volume = read_volume(path)
    screen = any(abs(per_cm[0] * 2.54 - dpi) < 1 and abs(per_cm[1] * 2.54 - dpi) < 1 for dpi in (72, 96))
    if not screen:
        np.testing.assert_allclose(volume.spacing, (10 / per_cm[0], 10 / per_cm[1], 1), rtol=0.01)
        assert volume.flags == (NO_ORIENTATION,)


@pytest.mark.parametrize("dpi", [None, (72, 72), (96, 96)])
def test_where_nobody_measured_a_pixel_is_one_millimetre_and_flagged(tmp_path, dpi):
    Image.fromarray(GREY).save(tmp_path / "a.png", **({"dpi": dpi} if dpi else {}))
    volume = read_volume(tmp_path / "a.png")
    assert volume.spacing == (1, 1, 1)
    assert volume.flags == (NO_ORIENTATION, NO_SIZE)
    (series,) = discover(tmp_path)
    assert (series.code, series.flags, series.shape, series.kind) == ("", volume.flags, (5, 7, 1), "picture")


@pytest.mark.parametrize(("channel", "index"), [("red", 0), ("green", 1), ("blue", 2)])
def test_a_channel_of_a_colour_picture(tmp_path, channel, index):
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    array = read_picture(Source(tmp_path / "a.png"), channel=channel).array
    np.testing.assert_array_equal(array[..., 0], COLOUR[..., index].T)


def test_colour_is_read_as_its_luma_and_grey_colours_as_grey(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    luma = COLOUR @ [0.299, 0.587, 0.114]
    assert np.abs(read_volume(tmp_path / "a.png").array[..., 0] - luma.T).max() <= 1
    for mode in ("RGB", "RGBA", "P", "LA"):
        Image.fromarray(GREY).convert(mode).save(tmp_path / "b.png")
        np.testing.assert_array_equal(read_volume(tmp_path / "b.png").array[..., 0], GREY.T, err_msg=mode)


def test_a_photograph_is_turned_upright_as_viewers_turn_it(tmp_path):
    image = Image.fromarray(GREY.repeat(8, 0).repeat(8, 1))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    image.save(tmp_path / "a.jpg", exif=exif, quality=98, dpi=(254, 127))
    volume = read_volume(tmp_path / "a.jpg")
    assert volume.shape == (56, 40, 1)
    assert volume.spacing == pytest.approx((0.2, 0.1, 1), rel=0.01)
    (series,) = discover(tmp_path)
    assert series.shape == volume.shape
    upright = np.asarray(image.rotate(-90, expand=True)).T
    assert np.corrcoef(volume.array[..., 0].ravel(), upright.ravel())[0, 1] > 0.95


def pages(path):
    Image.fromarray(GREY).save(path, save_all=True, append_images=[Image.fromarray(GREY)])


def half(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 50)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-1500])


BAD = {
    "cut off.png": (half, "TRUNCATED"),
    "no more than a beginning.png": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "NOT_AN_IMAGE"),
    "two pages.tif": (pages, "WRONG_DIMENSION"),
    "one value.png": (lambda path: Image.fromarray(GREY * 0).save(path), "EMPTY"),
    "one row.png": (lambda path: Image.fromarray(GREY[:1]).save(path), "WRONG_DIMENSION"),
    "elsewhere.png": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "MISSING_FILE"),
    "not a number.tif": (lambda path: Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(path), "NAN"),
    "huge.bmp": (lambda path: bomb(path), "TOO_LARGE"),
}


def bomb(path):
    Image.fromarray(GREY).save(path)
    content = bytearray(path.read_bytes())
    content[18:26] = (60_000).to_bytes(4, "little") * 2
    path.write_bytes(content)


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_usable_picture_is_refused_with_a_reason(tmp_path, name):
    write, code = BAD[name]
    write(tmp_path / name)
    with pytest.raises(InputError) as caught:
        read_volume(tmp_path / name)
    assert caught.value.code == code, str(caught.value)
    assert name in str(caught.value)


def test_what_is_only_called_a_picture_is_passed_over(tmp_path):
    (tmp_path / "a.png").write_text("<html>")
    assert list(discover(tmp_path)) == []


def test_volumes_pass_over_pictures_and_pictures_over_volumes(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "logo.png")
    SimpleITK.WriteImage(
        SimpleITK.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5)), tmp_path / "a.mha"
    )
    passed = PassedOver()
    assert [series.name for series in discover(tmp_path, flat=False, passed=passed)] == ["a"]
    assert passed.sentence() == "passed over: 1 picture of one slice (.png 1), such as logo.png"
    assert {one.name: one.code for one in discover(tmp_path, flat=True)} == {"a": "MANY_SLICES", "logo": ""}
    (named,) = list_cases(tmp_path / "logo.png", flat=False)
    assert named.skipped
    assert named.series.code == "SINGLE_SLICE"


def test_one_slice_of_nifti_in_two_or_three_axes(tmp_path):
    affine = np.diag([0.5, 0.7, 4.0, 1.0]) @ np.array([[0, -1, 0, 3], [1, 0, 0, 4], [0, 0, 1, 5], [0, 0, 0, 1.0]])
    for array in (GREY, GREY[..., None]):
        nib.save(nib.Nifti1Image(array, affine), tmp_path / "a.nii.gz")
        volume = read_volume(tmp_path / "a.nii.gz")
        np.testing.assert_array_equal(volume.array, GREY[..., None])
        np.testing.assert_allclose(volume.affine, affine, atol=1e-5)
        assert volume.flags == ()


@pytest.mark.parametrize(("unit", "flags"), [("mm", (NO_ORIENTATION,)), ("unknown", (NO_ORIENTATION, NO_SIZE))])
def test_a_slice_of_nifti_without_a_place_lies_as_a_picture_does(tmp_path, unit, flags):
    image = nib.Nifti1Image(GREY, None)
    image.header.set_zooms((0.2, 0.3))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    assert volume.flags == flags
    sizes = (0.2, 0.3) if unit == "mm" else (1, 1)
    np.testing.assert_allclose(volume.affine, np.diag([-sizes[0], -sizes[1], 1, 1]), rtol=1e-6)


@pytest.mark.parametrize("dpi", [None, (254, 508)])
def test_a_prepared_picture_says_what_its_picture_said(tmp_path, dpi):
    Image.fromarray(GREY).save(tmp_path / "a.png", **({"dpi": dpi} if dpi else {}))
    before = read_volume(tmp_path / "a.png")
    save(before, tmp_path / "a.nii.gz")
    after = read_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(after.array, before.array)
    np.testing.assert_allclose(after.affine, before.affine, rtol=1e-6)
    assert after.flags == before.flags


def test_pictures_in_archives_datalists_and_capitals(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "A.PNG")
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        archive.write(tmp_path / "A.PNG", "x/b.png")
    (tmp_path / "dataset.json").write_text(json.dumps({"test": ["A.PNG", "films.zip/x/b.png"]}))
    cases = list_cases(tmp_path)
    assert [case.name for case in cases] == ["A", "b"]
    for case in (*cases, *list_cases(tmp_path / "films.zip")):
        np.testing.assert_array_equal(case.volume().array[..., 0], GREY.T)
