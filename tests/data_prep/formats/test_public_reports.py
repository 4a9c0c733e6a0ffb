"""Inputs made after public bug reports on other readers, and their siblings: the right voxels, or the right refusal."""

import gzip
import os
import tracemalloc
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from conftest import rotated_affine
from format_maker import VOXELS

from data_prep import InputError, discover, read_volume
from data_prep.find.passed import PassedOver

ROOT = Path(__file__).resolve().parents[3]
SPACING = (0.9, 0.8, 3.0)
AFFINE = rotated_affine(SPACING)
RIGHT = {
    "01-nifti-xyzt-units": {"micron": SPACING, "meter": SPACING, "ten_micron": "BAD_SPACING"},
    "02-nrrd-space-units": {"um": "BAD_SPACING", "microns_0p38": "BAD_SPACING"},
    "03-nhdr-dot-slash": {"dot": SPACING, "plain": SPACING, "sitk": SPACING},
    "04-niigz-uncompressed": {"scan": SPACING, "zipped": SPACING},
    "23-datalad-links": {"sub-01_FLAIR": "NOT_AN_IMAGE"},  # the link became a file with a path in it when it was copied
    "24-mgz-hdr-img": {"pair": (2, 2, 2.5), "FLAIR": (2, 2, 2.5), "a": (1, 1, 1)},
}


@pytest.mark.parametrize("name", RIGHT)
def test_public_inputs(name):
    folder = Path(os.environ.get("HEALTHYTWIN_CASES", ROOT.parent / "shared" / "cases")) / name
    if not folder.is_dir():
        pytest.skip(f"no input {folder}; set HEALTHYTWIN_CASES")
    found = {series.name: series.code or series.spacing for series in discover(folder)}
    assert set(found) == set(RIGHT[name])
    for scan, right in RIGHT[name].items():
        assert found[scan] == (right if isinstance(right, str) else pytest.approx(right, abs=1e-4))


def nifti(unit, *, kind=nib.Nifti1Image, factor=1.0, affine=AFFINE):
    placed = affine.copy()
    placed[:3] /= factor
    image = kind(VOXELS, placed)
    image.set_qform(placed, 1)
    content = bytearray(image.to_bytes())
    at = 123 if kind is nib.Nifti1Image else 500
    content[at] = unit
    return bytes(content)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize(("unit", "factor"), [(0, 1), (1, 1e3), (2, 1), (3, 1e-3), (2 + 8, 1), (3 + 16, 1e-3)])
def test_nifti_units(tmp_path, kind, unit, factor):
    (tmp_path / "a.nii").write_bytes(nifti(unit, kind=kind, factor=factor))
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-4)
    np.testing.assert_array_equal(volume.array, VOXELS)


@pytest.mark.parametrize("unit", [4, 5, 7])
def test_unknown_nifti_units_are_refused(tmp_path, unit):
    (tmp_path / "a.nii").write_bytes(nifti(unit))
    with pytest.raises(InputError, match="BAD_HEADER"):
        read_volume(tmp_path / "a.nii")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII", "A.NII.GZ"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_compression_is_known_by_the_first_two_bytes(tmp_path, name, kind, packed, zipped):
    content = gzip.compress(nifti(2, kind=kind)) if packed else nifti(2, kind=kind)
    path = tmp_path / name
    if zipped:
        path = tmp_path / "a.zip" / "deep" / name
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr(f"deep/{name}", content)
    else:
        path.write_bytes(content)
    np.testing.assert_array_equal(read_volume(path).array, VOXELS)
    (series,) = discover(tmp_path)
    assert (series.code, series.name.lower()) == ("", "a")


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_big_endian(tmp_path, kind):
    header = kind.header_class(endianness=">")
    header.set_data_dtype(np.float32)
    nib.save(kind(VOXELS, AFFINE, header), tmp_path / "a.nii")
    assert (tmp_path / "a.nii").read_bytes()[:2] == b"\0\0"
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii").array, VOXELS)


def test_extensions_are_passed_over_and_bound(tmp_path):
    image = nib.Nifti1Image(VOXELS, AFFINE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 5000))
    nib.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").array, VOXELS)


def test_a_bomb_in_the_extensions_is_not_inflated(tmp_path):
    header = nib.Nifti1Image(VOXELS, AFFINE).header
    header["vox_offset"], header["sform_code"], header["magic"] = 2**31, 1, b"n+1"
    content = header.binaryblock + b"\1\0\0\0" + (2**31 - 352).to_bytes(4, "little") + bytes(4)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content + bytes(2**27)))
    tracemalloc.start()
    try:
        (series,) = discover(tmp_path)
        with pytest.raises(InputError, match="BAD_HEADER"):
            series.volume()
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content", [b"/annex/objects/MD5E-s12--ab.nii.gz\n", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"]
)
def test_pointers_of_a_data_sets_manager_say_what_they_are(tmp_path, content):
    for name in ("a.nii.gz", "a.nrrd", "a.mgz", "a.mha"):
        (tmp_path / name).write_bytes(content)
    for series in discover(tmp_path):
        assert series.code == "MISSING_FILE", series.reason
        assert "datalad get" in series.reason


def nrrd(path, **fields):
    lines = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "3 4 5",
        "space directions": "(900,0,0) (0,800,0) (0,0,3000)",
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(1000,2000,3000)",
    } | {key.replace("_", " "): value for key, value in fields.items()}
    text = "NRRD0005\n" + "".join(f"{key}: {value}\n" for key, value in lines.items() if value is not None)
    path.write_bytes(text.encode() + b"\n" + VOXELS.tobytes(order="F"))
    return path


@pytest.mark.parametrize("unit", ["um", "microns", "\N{MICRO SIGN}m", "micrometer", "UM"])
def test_nrrd_units(tmp_path, unit):
    for fields in ({"space_units": " ".join([f'"{unit}"'] * 3)}, {"units": " ".join([f'"{unit}"'] * 3)}):
        volume = read_volume(nrrd(tmp_path / "a.nrrd", **fields))
        assert volume.spacing == pytest.approx(SPACING)
        np.testing.assert_allclose(volume.affine[:3, 3], (-1, -2, 3))


@pytest.mark.parametrize("units", ['"inch" "inch" "inch"', '"mm" "mm" "parsec"'])
def test_unknown_nrrd_units_are_refused(tmp_path, units):
    with pytest.raises(InputError, match="BAD_HEADER"):
        read_volume(nrrd(tmp_path / "a.nrrd", space_units=units))


@pytest.mark.parametrize("name", ["scan.raw", "./scan.raw", ".//scan.raw", "my scan.raw", "list.raw", "50%.raw"])
def test_names_of_nrrd_data_files(tmp_path, name):
    nrrd(tmp_path / "a.nhdr", data_file=name, space_units='"um" "um" "um"')
    (tmp_path / name).write_bytes(VOXELS.tobytes(order="F"))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nhdr").array, VOXELS)


@pytest.mark.parametrize("skip", ["7", "-1"])
def test_nrrd_data_behind_a_header_of_another_program(tmp_path, skip):
    nrrd(tmp_path / "a.nhdr", data_file="scan.raw", byte_skip=skip, space_units='"um" "um" "um"')
    (tmp_path / "scan.raw").write_bytes(b"seven b" + VOXELS.tobytes(order="F"))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nhdr").array, VOXELS)


@pytest.mark.parametrize(
    "fields",
    [
        {
            "sizes": "3 4 5 1",
            "space_directions": "(900,0,0) (0,800,0) (0,0,3000) none",
            "kinds": "domain domain domain list",
        },
        {
            "sizes": "1 3 4 5",
            "space_directions": "none (900,0,0) (0,800,0) (0,0,3000)",
            "kinds": "list domain domain domain",
        },
    ],
)
def test_one_volume_in_a_nrrd_of_four_axes(tmp_path, fields):
    volume = read_volume(nrrd(tmp_path / "a.nrrd", dimension="4", space_units='"um" "um" "um"', **fields))
    np.testing.assert_array_equal(volume.array, VOXELS)
    assert volume.spacing == pytest.approx(SPACING)


def test_data_of_a_detached_header_in_a_data_sets_store(tmp_path):
    store = tmp_path / ".git" / "annex" / "objects"
    store.mkdir(parents=True)
    (store / "KEY").write_bytes(VOXELS.tobytes(order="F"))
    (tmp_path / "scan.raw").symlink_to(".git/annex/objects/KEY")
    path = nrrd(tmp_path / "a.nhdr", data_file="scan.raw", space_units='"um" "um" "um"')
    np.testing.assert_array_equal(read_volume(path).array, VOXELS)
    passed = PassedOver()
    assert len(list(discover(tmp_path, passed=passed))) == 1


def test_a_fault_of_the_disk_is_not_the_images(tmp_path, monkeypatch):
    for name in ("a.nii.gz", "b.nii"):
        (tmp_path / name).write_bytes(nifti(2))

    def fails(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("data_prep.formats.source.os.open", fails)
    for name in ("a.nii.gz", "b.nii"):
        with pytest.raises(InputError, match="UNREADABLE") as caught:
            read_volume(tmp_path / name)
        assert isinstance(caught.value.__cause__, OSError)


def test_a_folder_that_is_gone_is_not_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="UNREADABLE"):
        read_volume(tmp_path / "share" / "a.nii")
    with pytest.raises(InputError, match="MISSING_FILE"):
        read_volume(tmp_path / "a.nii")
