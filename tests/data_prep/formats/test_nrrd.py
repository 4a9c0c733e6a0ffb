"""NRRD files: the right voxels in the right place, or a reason."""

import gzip

import numpy as np
import pytest
import SimpleITK
from conftest import rotated_affine
from format_maker import VOXELS, sitk_image
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import InputError, Verdict, discover, list_cases, read_volume

HEADER = """NRRD0005
type: short
dimension: 3
space: left-posterior-superior
sizes: 3 4 5
space directions: (1,0,0) (0,2,0) (0,0,3)
kinds: domain domain domain
endian: little
encoding: raw
space origin: (1,2,3)
"""


def write(path, *, header=HEADER, data=None, **values):
    """An NRRD file; `values` replace header fields, None drops one. Underscores stand for blanks."""
    lines = header.splitlines()
    for key, value in values.items():
        name = key.replace("_", " ")
        lines = [line for line in lines if not line.startswith(f"{name}:")]
        lines += [] if value is None else [f"{name}: {value}"]
    data = VOXELS.tobytes(order="F") if data is None else data
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + data)
    return path


@settings(max_examples=15, deadline=None)
@given(
    st.floats(-1.5, 1.5),
    st.tuples(*[st.floats(0.3, 9)] * 3),
    st.permutations(range(3)),
    st.sampled_from([np.int16, np.uint8, np.float32, np.float64]),
    st.booleans(),
)
def test_as_simpleitk_writes_it(tmp_path_factory, angle, spacing, order, dtype, compressed):
    path = tmp_path_factory.mktemp("nrrd") / "scan.nrrd"
    affine = rotated_affine(spacing, angle=angle, flips=(1, -1, 1), order=order)
    array = np.random.default_rng(0).integers(0, 200, (5, 6, 7)).astype(dtype)
    SimpleITK.WriteImage(sitk_image(array, affine), str(path), compressed)
    volume = read_volume(path)
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-5)


@pytest.mark.parametrize(
    ("space", "signs"),
    [("right-anterior-superior", (1, 1)), ("LAS", (-1, 1)), ("left-posterior-superior", (-1, -1))],
)
def test_spaces(tmp_path, space, signs):
    volume = read_volume(write(tmp_path / "a.nrrd", space=space))
    expected = np.diag([signs[0], 2.0 * signs[1], 3.0, 1.0])
    expected[:3, 3] = [signs[0], 2 * signs[1], 3]
    np.testing.assert_array_equal(volume.affine, expected)
    np.testing.assert_array_equal(volume.array, VOXELS)


def test_big_endian_gzip_and_data_beside_the_header(tmp_path):
    big = VOXELS.astype(">i2").tobytes(order="F")
    (tmp_path / "scan.raw.gz").write_bytes(gzip.compress(big))
    path = write(tmp_path / "scan.nhdr", data=b"", endian="big", encoding="gzip", data_file="scan.raw.gz")
    np.testing.assert_array_equal(read_volume(path).array, VOXELS)
    assert [case.name for case in list_cases(tmp_path)] == ["scan"]


BAD = {
    "4-D": (
        {"sizes": "3 4 5 1", "dimension": "4", "space_directions": "(1,0,0) (0,2,0) (0,0,3) none"},
        "WRONG_DIMENSION",
    ),
    "2-D": ({"sizes": "12 5", "dimension": "2", "space_directions": None, "kinds": None}, "WRONG_DIMENSION"),
    "vectors": ({"kinds": "vector domain domain"}, "WRONG_DIMENSION"),
    "colour": ({"kinds": "RGB-color domain domain"}, "NOT_GREYSCALE"),
    "blocks": ({"type": "block", "block_size": "2"}, "NOT_GREYSCALE"),
    "no space": ({"space": None}, "NO_GEOMETRY"),
    "scanner space": ({"space": "scanner-xyz"}, "NO_GEOMETRY"),
    "no directions": ({"space_directions": None}, "NO_GEOMETRY"),
    "singular": ({"space_directions": "(1,0,0) (2,0,0) (0,0,3)"}, "SINGULAR_AFFINE"),
    "absurd spacing": ({"space_directions": "(1,0,0) (0,900,0) (0,0,3)"}, "BAD_SPACING"),
    "too large": ({"sizes": "60000 60000 60000"}, "TOO_LARGE"),
    "cut": ({"data": VOXELS.tobytes(order="F")[:-2]}, "TRUNCATED"),
    "cut gzip": ({"data": gzip.compress(VOXELS.tobytes(order="F"))[:-20], "encoding": "gzip"}, "TRUNCATED"),
    "text encoding": ({"encoding": "ascii"}, "DECODE_FAILED"),
    "data elsewhere": ({"data_file": "/etc/passwd"}, "UNREADABLE"),
    "data above": ({"data_file": "../scan.raw"}, "UNREADABLE"),
    "data on the net": ({"data_file": "http://example.org/scan.raw"}, "UNREADABLE"),
    "data not there": ({"data_file": "scan.raw"}, "MISSING_FILE"),
    "constant": ({"data": bytes(120)}, "EMPTY"),
    "not a number": ({"type": "float", "data": np.full(60, np.nan, "<f4").tobytes()}, "NAN"),
    "no header": ({"header": "nothing"}, "NOT_AN_IMAGE"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_with_a_reason(tmp_path, kind):
    values, code = BAD[kind]
    path = write(tmp_path / "scan.nrrd", **values)
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert caught.value.code == code, str(caught.value)
    assert "scan.nrrd" in caught.value.reason
    (series,) = discover(path)
    pixels = code in ("TRUNCATED", "EMPTY", "NAN")
    assert (series.verdict is Verdict.ACCEPT) == pixels
    assert series.checked().code == code


def test_no_more_is_inflated_than_the_header_says(tmp_path):
    bomb = gzip.compress(bytes(2**26))
    path = write(tmp_path / "scan.nrrd", encoding="gzip", data=bomb)
    with pytest.raises(InputError, match="EMPTY"):  # its first 120 bytes are the volume
        read_volume(path)
