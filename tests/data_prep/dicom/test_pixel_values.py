"""Stored values to the numbers that they mean: byte order, polarity, padding, bits."""

import numpy as np
import pydicom
import pytest
from dicom_maker import write_series
from pydicom import uid as uids
from test_dicom_series import assert_same_world

from data_prep import discover, read_volume


def as_ct(k, dataset):
    dataset.Modality, dataset.RescaleSlope, dataset.RescaleIntercept = "CT", "1", "-1024"


def rewritten(folder, syntax, change):
    """The files of a folder as `change` wants them, in another transfer syntax; what it returns is their pixel data."""
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        vr = change(dataset)
        dataset["PixelData"].VR = vr
        dataset.file_meta.TransferSyntaxUID = syntax
        fresh = pydicom.dataset.FileDataset("", dataset, file_meta=dataset.file_meta, preamble=b"\0" * 128)
        pydicom.dcmwrite(
            file, fresh, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian, force_encoding=True
        )


def to_bytes(dataset, *, swap):
    pixels = (np.frombuffer(dataset.PixelData, np.uint16) % 251).astype(np.uint8)
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    content = pixels.tobytes() + b"\0" * (pixels.size % 2)
    dataset.PixelData = np.frombuffer(content, "<u2").byteswap().tobytes() if swap else content


@pytest.mark.parametrize("shape", [(10, 14), (9, 13)])
@pytest.mark.parametrize(("vr", "swap"), [("OW", True), ("OB", False)])
def test_eight_bits_in_big_endian_words(tmp_path, shape, vr, swap):
    array, affine = write_series(tmp_path, shape=shape)
    rewritten(tmp_path, uids.ExplicitVRBigEndian, lambda dataset: to_bytes(dataset, swap=swap) or vr)
    assert_same_world(read_volume(tmp_path), array % 251, affine)


def test_eight_bits_in_little_endian_words(tmp_path):
    array, affine = write_series(tmp_path, shape=(9, 13))
    rewritten(tmp_path, uids.ExplicitVRLittleEndian, lambda dataset: to_bytes(dataset, swap=False) or "OW")
    assert_same_world(read_volume(tmp_path), array % 251, affine)


def test_eight_bits_in_big_endian_words_of_several_frames(tmp_path):
    from dicom_maker import frame, slices, write_frames

    pixels = slices(5, shape=(9, 13)) % 251
    write_frames(tmp_path / "a", [frame(3.0 * k) for k in range(5)], pixels)
    rewritten(tmp_path, uids.ExplicitVRBigEndian, lambda dataset: to_bytes(dataset, swap=True) or "OW")
    np.testing.assert_array_equal(read_volume(tmp_path).array, pixels.transpose(2, 1, 0))


def test_the_private_syntax_of_ge_has_big_endian_pixels(tmp_path):
    array, affine = write_series(tmp_path)
    for file in tmp_path.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
        dataset.file_meta.TransferSyntaxUID = uids.ImplicitVRLittleEndian
        dataset.save_as(file, implicit_vr=True, little_endian=True)
        file.write_bytes(file.read_bytes().replace(b"1.2.840.10008.1.2\0", b"1.2.840.113619.5.2", 1))
    series = list(discover(tmp_path))
    assert [one.code for one in series] == [""]
    assert_same_world(read_volume(tmp_path), array, affine)


@pytest.mark.parametrize("syntax", ["1_2_840_10008_1_2_1", "1.2.840.113619.5.9"])
def test_a_transfer_syntax_that_is_not_known(tmp_path, syntax):
    write_series(tmp_path)
    for file in tmp_path.iterdir():
        known = b"1.2.840.10008.1.2.1\0"
        assert known in file.read_bytes()
        file.write_bytes(file.read_bytes().replace(known, syntax.encode().ljust(20, b"\0"), 1))
    (series,) = discover(tmp_path)
    assert series.code == "UNSUPPORTED_SYNTAX"


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_polarity_is_display_where_numbers_mean_something(tmp_path, modality):
    def change(k, dataset):
        as_ct(k, dataset)
        dataset.Modality, dataset.PhotometricInterpretation = modality, "MONOCHROME1"

    array, affine = write_series(tmp_path, change=change)
    volume = read_volume(tmp_path)
    assert volume.flags == ()
    assert_same_world(volume, array.astype(int) - 1024, affine)


def test_polarity_may_change_within_a_ct(tmp_path):
    def change(k, dataset):
        as_ct(k, dataset)
        dataset.PhotometricInterpretation = "MONOCHROME1" if k % 2 else "MONOCHROME2"

    array, affine = write_series(tmp_path, change=change)
    assert_same_world(read_volume(tmp_path), array.astype(int) - 1024, affine)


def test_mr_of_inverted_polarity_is_turned_round_and_says_so(tmp_path):
    def change(k, dataset):
        dataset.PhotometricInterpretation, dataset.BitsStored, dataset.HighBit = "MONOCHROME1", 12, 11

    array, affine = write_series(tmp_path, change=change)
    volume = read_volume(tmp_path)
    assert volume.flags == ("inverted",)
    assert_same_world(volume, 4095 - array.astype(int), affine)


# --- padding -------------------------------------------------------------------------------------------------------

BORDER = np.zeros((10, 14), bool)
BORDER[:2], BORDER[:, -1] = True, True


def padded(*, value, limit=None, signed=True, modality="CT", intercept="-24", bits=16):
    """Pads the border of every slice with `value`, as stored."""

    def change(k, dataset):
        pixels = np.frombuffer(dataset.PixelData, np.uint16).reshape(10, 14).astype(np.int32)
        pixels[BORDER] = value
        dataset.Modality, dataset.RescaleSlope, dataset.RescaleIntercept = modality, "1", intercept
        dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = int(signed), bits, bits - 1
        dataset.PixelData = pixels.astype(np.int16 if signed else np.uint16).tobytes()
        tags = {0x00280120: value, 0x00280121: limit}
        for tag, number in tags.items():
            if number is not None:
                dataset.add_new(tag, "SS" if number < 0 else "US", number)

    return change


@pytest.mark.parametrize(
    ("options", "air"),
    [
        ({"value": -2000}, -1000),
        ({"value": -2000, "limit": -1500}, -1000),
        ({"value": -1500, "limit": -2000}, -1000),
        ({"value": -2000, "intercept": "-1024"}, -1000),
        ({"value": 65535, "signed": False, "intercept": "-1024"}, -1000),
        ({"value": 4095, "signed": False, "intercept": "-1024", "bits": 12}, -1000),
        ({"value": 40000, "signed": False, "intercept": "0"}, 0),
        ({"value": -2000, "modality": "MR", "intercept": "0"}, 0),
        ({"value": -32768, "modality": "MR", "intercept": "0"}, 0),
        ({"value": 65535, "modality": "MR", "signed": False, "intercept": "0"}, 0),
        ({"value": -2000, "modality": "PT", "intercept": "0.5"}, 0.5),
    ],
)  # fmt: skip
def test_padding_becomes_air_after_the_rescale(tmp_path, options, air):
    array, affine = write_series(tmp_path, change=padded(**options))
    right = array.astype(float) + float(options.get("intercept", "-24"))
    right[BORDER.T] = air
    assert_same_world(read_volume(tmp_path), right, affine)


def test_a_padding_value_amid_the_values_is_one_of_them(tmp_path):
    def change(k, dataset):
        as_ct(k, dataset)
        dataset.add_new(0x00280120, "US", 450)

    array, affine = write_series(tmp_path, change=change)
    assert_same_world(read_volume(tmp_path), array.astype(int) - 1024, affine)


def test_an_empty_padding_value_is_none(tmp_path):
    def change(k, dataset):
        dataset.add_new(0x00280120, "US", None)

    array, affine = write_series(tmp_path, change=change)
    assert_same_world(read_volume(tmp_path), array, affine)


def test_slices_with_slopes_of_their_own_and_padding(tmp_path):
    def change(k, dataset):
        padded(value=-32768, modality="PT")(k, dataset)
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{0.5 + 0.25 * k}", "0"

    array, affine = write_series(tmp_path, change=change)
    right = array * (0.5 + 0.25 * np.arange(12))
    right[BORDER.T] = 0
    assert_same_world(read_volume(tmp_path), right, affine)


def test_slices_of_two_units_are_no_volume(tmp_path):
    def change(k, dataset):
        dataset.Modality, dataset.Units = "PT", "BQML" if k < 6 else "CNTS"

    write_series(tmp_path, change=change)
    (series,) = discover(tmp_path)
    assert series.code == "MULTI_VOLUME"
    assert "unit" in series.reason


@pytest.mark.parametrize("allocated", [8, 16, 32])
@pytest.mark.parametrize("signed", [0, 1])
def test_bits_and_signs(tmp_path, allocated, signed):
    stored = {}

    def change(k, dataset):
        kind = np.dtype(f"{'i' if signed else 'u'}{allocated // 8}")
        info = np.iinfo(kind)
        stored[k] = np.random.default_rng(k).integers(info.min, info.max, (10, 14), dtype=kind, endpoint=True)
        dataset.BitsAllocated = dataset.BitsStored = allocated
        dataset.HighBit, dataset.PixelRepresentation = allocated - 1, signed
        dataset.PixelData = stored[k].tobytes()
        dataset["PixelData"].VR = "OB" if allocated == 8 else "OW"

    write_series(tmp_path, change=change)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, np.stack([stored[k].T for k in range(12)], axis=2))
