"""NIfTI files: exact geometry through MONAI, and a reason for each kind of bad file."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from conftest import phantom, rotated_affine
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.transforms import LoadImage

from data_prep import InputError, read_volume

pytestmark = pytest.mark.filterwarnings("ignore:.*nvImageCodec.*")  # an optional decoder that we do not use
FLIPS = st.tuples(*[st.sampled_from([-1, 1])] * 3)
SPACINGS = st.tuples(*[st.floats(0.4, 9)] * 3)


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.7, 0.7), FLIPS, st.permutations([0, 1, 2]), SPACINGS)
def test_any_affine_comes_back_exactly_through_monai(tmp_path_factory, angle, flips, order, spacing):
    path = tmp_path_factory.mktemp("nifti") / "scan.nii"
    array = np.random.default_rng(0).integers(0, 99, (5, 6, 7)).astype(np.int16)
    nib.save(nib.Nifti1Image(array, rotated_affine(spacing, angle=angle, flips=flips, order=order)), path)
    source = nib.load(path)
    image = LoadImage(reader="data_prep.SeriesReader", image_only=True)(str(path))
    np.testing.assert_array_equal(image.numpy(), array)
    np.testing.assert_array_equal(image.affine.numpy(), source.affine)
    assert image.meta["input_hash"] == read_volume(path).input_hash


def save(path, array, affine=None):
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)


def bad_files(path):
    """Writers of bad files by the code with which they must be refused."""
    good = phantom()[0]
    holes = good.astype(np.float32)
    holes[0, 0, 0] = np.nan

    def truncated():
        save(path, good)
        path.write_bytes(path.read_bytes()[:2000])

    def singular():
        content = bytearray(nib.Nifti1Image(good, np.eye(4)).to_bytes())
        header = nib.Nifti1Header(bytes(content[:348]))
        header["sform_code"] = 1
        for row in ("srow_x", "srow_y", "srow_z"):
            header[row] = [1, 1, 1, 0]
        content[:348] = header.binaryblock
        path.write_bytes(gzip.compress(bytes(content)))

    def huge():
        header = nib.Nifti1Header()
        header.set_data_shape((30000, 30000, 30000))
        path.write_bytes(gzip.compress(header.binaryblock + bytes(1000)))

    def flipped_bit():
        save(path, good)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 255
        path.write_bytes(bytes(content))

    def placed(qform=None, sform=None, codes=(1, 1), pixdim=None):
        image = nib.Nifti1Image(good, None)
        image.set_qform(np.eye(4) if qform is None else qform, codes[0])
        image.set_sform(np.eye(4) if sform is None else sform, codes[1])
        content = bytearray(image.to_bytes())
        if pixdim is not None:
            content[80:92] = np.array(pixdim, "<f4").tobytes()
        path.write_bytes(gzip.compress(bytes(content)))

    moved, mirror = np.eye(4), np.diag([-1.0, 1, 1, 1])
    moved[0, 3] = 8.0
    return {
        "no affine": (lambda: placed(codes=(0, 0)), "NO_GEOMETRY"),
        "two places": (lambda: placed(sform=moved), "AFFINE_CONFLICT"),
        "two sizes": (lambda: placed(sform=np.diag([1, 1, 2.0, 1])), "AFFINE_CONFLICT"),
        "mirror images": (lambda: placed(sform=mirror), "AFFINE_CONFLICT"),
        "mirror image of a template": (lambda: placed(sform=mirror, codes=(1, 4)), "AFFINE_CONFLICT"),
        "qform without a voxel size": (lambda: placed(codes=(1, 0), pixdim=(1, 0, 3)), "BAD_SPACING"),
        "qform with a negative voxel size": (lambda: placed(codes=(1, 0), pixdim=(1, 1, -3)), "BAD_SPACING"),
        "no image": (lambda: path.write_bytes(b"not an image"), "NOT_AN_IMAGE"),
        "empty file": (lambda: path.write_bytes(b""), "NOT_AN_IMAGE"),
        "truncated": (truncated, "TRUNCATED"),
        "4-D": (lambda: save(path, np.stack([good] * 3, axis=-1)), "WRONG_DIMENSION"),
        "1-D": (lambda: save(path, good[:, 0, 0]), "WRONG_DIMENSION"),
        "one row": (lambda: save(path, good[:, :1, 0]), "WRONG_DIMENSION"),
        "NaN": (lambda: save(path, holes), "NAN"),
        "infinite": (lambda: save(path, np.where(np.isnan(holes), np.inf, holes)), "NAN"),
        "empty volume": (lambda: save(path, np.zeros_like(good)), "EMPTY"),
        "colour": (lambda: save(path, np.zeros((4, 4, 4), [(c, "u1") for c in "RGB"])), "NOT_GREYSCALE"),
        "complex": (lambda: save(path, good.astype(np.complex64)), "NOT_GREYSCALE"),
        "more voxels than there is memory": (huge, "TOO_LARGE"),
        "damaged": (flipped_bit, "TRUNCATED"),
        "absurd spacing": (lambda: save(path, good, np.diag([1e-6, 1, 1, 1])), "BAD_SPACING"),
        "singular affine": (singular, "SINGULAR_AFFINE"),
    }


KINDS = list(bad_files(None))


@pytest.mark.parametrize("kind", KINDS)
def test_bad_files_are_refused_with_a_reason(tmp_path, kind):
    path = tmp_path / "scan.nii.gz"
    write, code = bad_files(path)[kind]
    write()
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert caught.value.code == code, str(caught.value)
    assert str(path) in str(caught.value)


def test_two_affines_that_agree_or_of_which_one_is_a_template_are_read(tmp_path, caplog):
    affine = rotated_affine((1.0, 1.2, 3.0))
    image = nib.Nifti1Image(phantom()[0], affine)
    image.set_qform(affine, 1)
    for code, offset in ((1, 0.2), (4, 60.0)):
        image.set_sform(affine + offset * np.eye(4, k=3), code)
        nib.save(image, tmp_path / "scan.nii")
        np.testing.assert_allclose(read_volume(tmp_path / "scan.nii").affine, image.affine, atol=1e-5)
    assert not caplog.records


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="MISSING_FILE"):
        read_volume(tmp_path / "none.nii.gz")


def test_a_trailing_axis_of_one_is_dropped(tmp_path):
    save(tmp_path / "scan.nii.gz", phantom()[0][..., None])
    assert read_volume(tmp_path / "scan.nii.gz").shape == (64, 64, 8)


def test_scaled_values_are_floats_and_stored_integers_stay(tmp_path):
    array = phantom()[0]
    image = nib.Nifti1Image(array, np.eye(4))
    save(tmp_path / "plain.nii", array)
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scaled.nii")
    assert read_volume(tmp_path / "plain.nii").array.dtype == np.int16
    scaled = read_volume(tmp_path / "scaled.nii").array
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, array * 0.5 + 10)


def test_big_endian_files_come_in_the_machines_order(tmp_path):
    array = phantom()[0]
    nib.save(nib.Nifti1Image(array.astype(">i2"), np.eye(4), nib.Nifti1Header(endianness=">")), tmp_path / "big.nii")
    volume = read_volume(tmp_path / "big.nii")
    assert volume.array.dtype.isnative
    np.testing.assert_array_equal(volume.array, array)


def test_constant_labels_are_read_when_asked_for(tmp_path):
    save(tmp_path / "label.nii.gz", np.zeros((4, 5, 6), np.uint8))
    assert not read_volume(tmp_path / "label.nii.gz", allow_constant=True).array.any()
