"""The table of formats: every one read as its own library reads it, found in folders, archives and datalists."""

import gzip
import json
import zipfile

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from conftest import rotated_affine
from format_maker import sitk_image
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import InputError, Verdict, discover, level_weights, list_cases, list_runs, read_volume
from data_prep.formats.table import FORMATS, SINGLE_FILE, SUFFIXES

ARRAY = np.random.default_rng(0).integers(-200, 900, (5, 6, 7)).astype(np.int16)
PLACED = rotated_affine((0.9, 0.8, 3.0))
SHEARED = np.array([[-1.0, 0.1, 0, 5], [0.2, 1.5, 0.4, -7], [0, 0, 3, 9], [0, 0, 0, 1]])


def save_pair(path, array, affine):
    nib.save(nib.Nifti1Pair(array, affine), path)


def save_mgh(path, array, affine):
    nib.save(nib.MGHImage(array, affine), path)


def save_meta(path, array, affine, *, compressed=False):
    SimpleITK.WriteImage(sitk_image(array, affine), str(path), compressed)


WRITERS = {
    ".nii": lambda path, array, affine: nib.save(nib.Nifti1Image(array, affine), path),
    ".nii.gz": lambda path, array, affine: nib.save(nib.Nifti2Image(array, affine), path),
    ".nrrd": save_meta,
    ".nhdr": save_meta,
    ".hdr": save_pair,
    ".hdr.gz": save_pair,
    ".mgh": save_mgh,
    ".mgz": save_mgh,
    ".mha": save_meta,
    ".mhd": lambda path, array, affine: save_meta(path, array, affine, compressed=True),
}


@pytest.fixture(params=SUFFIXES)
def suffix(request):
    return request.param


def make(folder, suffix, *, name="scan", affine=None):
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}{suffix}"
    if suffix == ".hdr.gz":  # nibabel takes the name of the voxels only
        WRITERS[suffix](path.with_name(f"{name}.img.gz"), ARRAY, PLACED if affine is None else affine)
    elif suffix == ".mgh.gz":
        make(folder, ".mgz", name=name, affine=affine).rename(path)
    else:
        WRITERS[suffix](path, ARRAY, PLACED if affine is None else affine)
    return path


@settings(max_examples=8, deadline=None)
@given(
    st.floats(-1.5, 1.5),
    st.tuples(*[st.sampled_from([-1, 1])] * 3),
    st.permutations(range(3)),
    st.tuples(*[st.floats(0.3, 9)] * 3),
)
def test_any_affine_comes_back_in_every_format(tmp_path_factory, angle, flips, order, spacing):
    affine = rotated_affine(spacing, angle=angle, flips=flips, order=order)
    for suffix in SUFFIXES:
        volume = read_volume(make(tmp_path_factory.mktemp("any"), suffix, affine=affine))
        np.testing.assert_array_equal(volume.array, ARRAY, err_msg=suffix)
        np.testing.assert_allclose(volume.affine, affine, atol=1e-4, err_msg=suffix)
        assert volume.array.dtype == np.int16, suffix
        assert volume.array.flags.writeable


def test_every_format_is_found_in_a_folder_with_all_its_files(tmp_path, suffix):
    path = make(tmp_path / "scans", suffix)
    (series,) = discover(tmp_path)
    (kind,) = [one for one in FORMATS if suffix in one.suffixes]
    assert (series.kind, series.name, series.code, series.shape) == (kind.kind, "scan", "", ARRAY.shape)
    assert series.files == len(series.sources) == (1 if suffix in SINGLE_FILE else 2)
    assert {source.path for source in series.sources} == set(path.parent.iterdir())
    np.testing.assert_array_equal(series.volume().array, ARRAY)
    assert series.volume().input_hash == read_volume(path).input_hash


def test_every_format_is_read_in_an_archive(tmp_path, suffix):
    path = make(tmp_path / "scans", suffix)
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        for file in path.parent.iterdir():
            archive.write(file, f"a/b c/{file.name}")
    (case,) = list_cases(tmp_path / "scans.zip")
    np.testing.assert_array_equal(case.volume().array, ARRAY)
    np.testing.assert_array_equal(read_volume(case.image).array, ARRAY)


def test_names_in_capitals(tmp_path, suffix):
    path = make(tmp_path / "scans", suffix)
    for file in list(path.parent.iterdir()):
        file.rename(file.with_name(file.name.upper()))
    if suffix in (".nhdr", ".mhd"):  # the header names its data in small letters
        path.with_name(path.name.upper()).write_bytes(
            path.with_name(path.name.upper())
            .read_bytes()
            .replace(b": scan.", b": SCAN.")
            .replace(b"= scan.", b"= SCAN.")
        )
        (data,) = [file for file in path.parent.iterdir() if not file.name.endswith(suffix.upper())]
        data.rename(data.with_name("SCAN" + "".join(data.suffixes).lower()))
    (series,) = discover(tmp_path)
    assert (series.name, series.code) == ("SCAN", "")
    np.testing.assert_array_equal(series.volume().array, ARRAY)


def test_runs_and_their_weights_in_every_format(tmp_path, suffix):
    path = make(tmp_path, suffix)
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        for file in tmp_path.glob("scan.*"):
            archive.write(file, file.name)
    entries = [{"image": name, "healthy_slices": [[0, 3], [3, 7]]} for name in (path.name, f"scans.zip/{path.name}")]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": entries}))
    items = list_runs(tmp_path, "training")
    assert [item["run"] for item in items] == [[0, 3], [3, 7]] * 2
    weights = level_weights(items)
    assert weights[:2] == weights[2:]
    assert sum(weights) == pytest.approx(1)


def test_a_datalist_names_any_format(tmp_path, suffix):
    path = make(tmp_path, suffix)
    (tmp_path / "dataset.json").write_text(json.dumps({"test": [path.name]}))
    (case,) = list_cases(tmp_path)
    assert case.name == "scan"
    np.testing.assert_array_equal(case.volume().array, ARRAY)


def test_the_voxels_of_a_pair_stand_for_it(tmp_path):
    make(tmp_path, ".hdr")
    (series,) = discover(tmp_path / "scan.img")
    assert series.place == str(tmp_path / "scan.hdr")
    np.testing.assert_array_equal(read_volume(tmp_path / "scan.img").array, ARRAY)
    assert [case.image for case in list_cases(tmp_path / "scan.img")] == [str(tmp_path / "scan.hdr")]


def test_a_pair_without_its_voxels_says_so(tmp_path):
    make(tmp_path, ".hdr")
    (tmp_path / "scan.img").unlink()
    (series,) = discover(tmp_path)
    assert (series.code, series.verdict) == ("MISSING_FILE", Verdict.QUARANTINE)
    assert "scan.img" in series.reason


def test_other_programs_hdr_is_no_image(tmp_path):
    (tmp_path / "sky.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n")
    assert list(discover(tmp_path)) == []
    with pytest.raises(InputError, match="NOT_AN_IMAGE"):
        read_volume(tmp_path / "sky.hdr")


def test_changed_voxels_beside_an_unchanged_header_change_the_hash(tmp_path):
    for suffix in (".hdr", ".nhdr", ".mhd"):
        path = make(tmp_path / suffix, suffix)
        before, header = read_volume(path).input_hash, path.read_bytes()
        WRITERS[suffix](path, ARRAY + 1, PLACED)
        path.write_bytes(header)
        assert read_volume(path).input_hash != before


def test_analyze_is_read_as_it_is_usual_and_flagged(tmp_path):
    image = nib.Spm99AnalyzeImage(ARRAY, np.diag([-2.0, 3, 4, 1]))
    nib.save(image, tmp_path / "old.img")
    (tmp_path / "old.mat").unlink()
    volume = read_volume(tmp_path / "old.hdr")
    np.testing.assert_array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.affine, nib.load(tmp_path / "old.hdr").affine)
    (series,) = discover(tmp_path)
    assert volume.flags == series.flags == ("orientation_assumed",)


@pytest.mark.parametrize("change", ["sagittal", "SPM"])
def test_analyze_that_lies_otherwise_is_refused(tmp_path, change):
    nib.save(nib.Spm99AnalyzeImage(ARRAY, np.diag([-2.0, 3, 4, 1])), tmp_path / "old.img")
    if change == "sagittal":
        (tmp_path / "old.mat").unlink()
        header = bytearray((tmp_path / "old.hdr").read_bytes())
        header[252] = 2
        (tmp_path / "old.hdr").write_bytes(header)
    with pytest.raises(InputError, match="NO_GEOMETRY"):
        read_volume(tmp_path / "old.hdr")


def test_sheared_and_left_handed_grids(tmp_path):
    WRITERS[".nii"](tmp_path / "scan.nii", ARRAY, SHEARED)
    np.testing.assert_allclose(read_volume(tmp_path / "scan.nii").affine, SHEARED, atol=1e-6)
    SimpleITK.WriteImage(sitk_image(ARRAY, SHEARED), str(tmp_path / "scan.nrrd"))
    np.testing.assert_allclose(read_volume(tmp_path / "scan.nrrd").affine, SHEARED, atol=1e-6)


def test_one_volume_in_four_axes(tmp_path):
    nib.save(nib.Nifti1Image(ARRAY[..., None], PLACED), tmp_path / "a.nii")
    image = SimpleITK.JoinSeries([sitk_image(ARRAY, PLACED)])
    SimpleITK.WriteImage(image, str(tmp_path / "c.mha"))
    for name in ("a.nii", "c.mha"):
        volume = read_volume(tmp_path / name)
        np.testing.assert_array_equal(volume.array, ARRAY)
        np.testing.assert_allclose(volume.affine, PLACED, atol=1e-5)


def test_several_volumes_in_four_axes_are_refused(tmp_path):
    nib.save(nib.MGHImage(np.stack([ARRAY] * 2, -1), np.eye(4)), tmp_path / "b.mgz")
    image = SimpleITK.JoinSeries([sitk_image(ARRAY, np.eye(4))] * 2)
    SimpleITK.WriteImage(image, str(tmp_path / "c.mha"))
    assert [series.code for series in discover(tmp_path)] == ["WRONG_DIMENSION"] * 2


def test_an_mgh_file_that_says_not_where_it_lies(tmp_path):
    save_mgh(tmp_path / "a.mgz", ARRAY, np.eye(4))
    content = bytearray(gzip.decompress((tmp_path / "a.mgz").read_bytes()))
    content[28:30] = b"\0\0"
    (tmp_path / "a.mgz").write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match="NO_GEOMETRY"):
        read_volume(tmp_path / "a.mgz")
