"""MetaImage: the right voxels in the right place, or a reason."""

import zlib

import numpy as np
import pytest
import SimpleITK
from conftest import rotated_affine
from format_maker import VOXELS, sitk_image
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import InputError, discover, read_volume

HEADER = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 1 2 3
CenterOfRotation = 0 0 0
AnatomicalOrientation = RAI
ElementSpacing = 1 2 3
DimSize = 3 4 5
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""


def write(path, *, data=None, **values):
    """A MetaImage file; `values` replace header fields, None drops one."""
    lines = HEADER.splitlines()
    for key, value in values.items():
        at = next((index for index, line in enumerate(lines) if line.startswith(f"{key} =")), 0)
        lines[at : at + 1] = (
            [] if value is None else [f"{key} = {value}"] + ([] if f"{key} =" in lines[at] else [lines[at]])
        )
    path.write_bytes("\n".join(lines).encode() + b"\n" + (VOXELS.tobytes(order="F") if data is None else data))
    return path


@settings(max_examples=15, deadline=None)
@given(
    st.floats(-1.5, 1.5),
    st.tuples(*[st.floats(0.3, 9)] * 3),
    st.permutations(range(3)),
    st.sampled_from([np.int16, np.uint8, np.uint16, np.int32, np.float32, np.float64]),
    st.booleans(),
    st.sampled_from([".mha", ".mhd"]),
)
def test_as_simpleitk_writes_it(tmp_path_factory, angle, spacing, order, dtype, compressed, suffix):
    path = tmp_path_factory.mktemp("meta") / f"my scan{suffix}"
    affine = rotated_affine(spacing, angle=angle, flips=(1, -1, 1), order=order)
    array = np.random.default_rng(0).integers(0, 200, (5, 6, 7)).astype(dtype)
    SimpleITK.WriteImage(sitk_image(array, affine), str(path), compressed)
    volume = read_volume(path)
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-5)


def test_by_hand(tmp_path):
    volume = read_volume(write(tmp_path / "a.mha"))
    expected = np.diag([-1.0, -2, 3, 1])
    expected[:3, 3] = [-1, -2, 3]
    np.testing.assert_array_equal(volume.affine, expected)
    np.testing.assert_array_equal(volume.array, VOXELS)


@pytest.mark.parametrize(("unit", "factor"), [("um", 1e-3), ("mm", 1), ("cm", 10), ("?", 1)])
def test_units(tmp_path, unit, factor):
    path = write(tmp_path / "a.mha", DistanceUnits=unit, ElementSpacing=" ".join(f"{x / factor}" for x in (1, 2, 3)))
    np.testing.assert_allclose(read_volume(path).spacing, (1, 2, 3))


def test_big_endian_compressed_and_behind_another_header(tmp_path):
    big = VOXELS.astype(">i2").tobytes(order="F")
    (tmp_path / "a.zraw").write_bytes(zlib.compress(big))
    (tmp_path / "b.raw").write_bytes(b"some header" + big)
    one = write(
        tmp_path / "a.mhd", data=b"", ElementByteOrderMSB="True", CompressedData="True", ElementDataFile="a.zraw"
    )
    np.testing.assert_array_equal(read_volume(one).array, VOXELS)
    for size in ("-1", "11"):
        two = write(
            tmp_path / "b.mhd", data=b"", BinaryDataByteOrderMSB="True", HeaderSize=size, ElementDataFile="./b.raw"
        )
        np.testing.assert_array_equal(read_volume(two).array, VOXELS)


BAD = {
    "colour": ({"ElementNumberOfChannels": "3"}, "NOT_GREYSCALE"),
    "no type": ({"ElementType": "MET_OTHER"}, "NOT_GREYSCALE"),
    "2-D": ({"DimSize": "12 5"}, "WRONG_DIMENSION"),
    "no directions": ({"TransformMatrix": None}, "NO_GEOMETRY"),
    "few directions": ({"TransformMatrix": "1 0 0 1"}, "NO_GEOMETRY"),
    "words for directions": ({"TransformMatrix": "one two"}, "NO_GEOMETRY"),
    "no place": ({"Offset": None}, "NO_GEOMETRY"),
    "no spacing": ({"ElementSpacing": None}, "NO_GEOMETRY"),
    "two spacings": ({"ElementSpacing": "1 1"}, "NO_GEOMETRY"),
    "no size": ({"DimSize": "a b c"}, "BAD_HEADER"),
    "negative spacing": ({"ElementSpacing": "1 -1 1"}, "BAD_SPACING"),
    "singular": ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "SINGULAR_AFFINE"),
    "unknown unit": ({"DistanceUnits": "inch"}, "BAD_HEADER"),
    "too large": ({"DimSize": "60000 60000 60000"}, "TOO_LARGE"),
    "cut": ({"data": VOXELS.tobytes(order="F")[:-2]}, "TRUNCATED"),
    "cut zlib": ({"CompressedData": "True", "data": zlib.compress(VOXELS.tobytes())[:-20]}, "TRUNCATED"),
    "damaged zlib": ({"CompressedData": "True", "data": b"no zlib at all"}, "TRUNCATED"),
    "text": ({"BinaryData": "False"}, "DECODE_FAILED"),
    "scaled": ({"ElementToIntensityFunctionSlope": "2"}, "DECODE_FAILED"),
    "data elsewhere": ({"ElementDataFile": "/etc/passwd"}, "UNREADABLE"),
    "data above": ({"ElementDataFile": "../scan.raw"}, "UNREADABLE"),
    "a list": ({"ElementDataFile": "LIST"}, "UNREADABLE"),
    "a pattern": ({"ElementDataFile": "scan.%03d 1 5 1"}, "UNREADABLE"),
    "data not there": ({"ElementDataFile": "scan.raw"}, "MISSING_FILE"),
    "no data": ({"ElementDataFile": None}, "NOT_AN_IMAGE"),
    "another object": ({"ObjectType": "Mesh"}, "NOT_AN_IMAGE"),
    "constant": ({"data": bytes(120)}, "EMPTY"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_with_a_reason(tmp_path, kind):
    values, code = BAD[kind]
    path = write(tmp_path / "scan.mha", **values)
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert caught.value.code == code, str(caught.value)
    assert "scan.mha" in caught.value.reason
    (series,) = discover(path)
    assert series.checked().code == code
