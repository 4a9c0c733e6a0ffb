"""`SeriesReader` within MONAI: exact geometry, and no way round the checks."""

import nibabel as nib
import numpy as np
import pytest
from dicom_maker import write_series
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.transforms import Compose, EnsureChannelFirstd, Invertd, LoadImaged, Orientationd

from data_prep import CheckedDataset, InputError, SeriesReader, list_items, read_volume
from data_prep.cases.visit import MISSING

pytestmark = pytest.mark.filterwarnings("ignore:.*nvImageCodec.*")  # an optional decoder that we do not use
READER = "data_prep.SeriesReader"


def load(path, **options):
    return LoadImaged("image", reader=READER, **options)({"image": str(path)})["image"]


@settings(max_examples=8, deadline=None)
@given(st.floats(-1.5, 1.5), st.floats(0.7, 9), st.booleans())
def test_dicom_comes_as_it_was_written_whatever_the_instance_numbers(tmp_path_factory, angle, gap, reverse):
    folder = tmp_path_factory.mktemp("series")
    array, affine = write_series(folder, slices=4, gap=gap, angle=angle, reverse=reverse)
    image = load(folder)
    np.testing.assert_allclose(image.affine.numpy(), affine, atol=1e-6)
    np.testing.assert_array_equal(image.numpy(), array)
    assert image.meta["spatial_shape"].tolist() == list(array.shape)


def test_meta_data_are_what_monai_needs_and_nothing_of_the_patient(tmp_path):
    array, _ = write_series(tmp_path)
    image = load(tmp_path)
    assert image.meta["filename_or_obj"] == str(tmp_path)
    np.testing.assert_array_equal(image.meta["original_affine"], image.affine)
    assert image.meta["series_uid"] == "1.2.3"
    assert image.meta["input_hash"] == read_volume(tmp_path).input_hash
    assert "TEST" not in str(image.meta)
    assert EnsureChannelFirstd("image")({"image": image})["image"].shape == (1, *array.shape)


def test_a_refused_series_does_not_get_in_through_monais_other_readers(tmp_path):
    write_series(tmp_path, change=lambda k, dataset: k != 5)
    with pytest.raises(InputError, match="MISSING_SLICES"):
        load(tmp_path)


def test_a_refused_nifti_does_not_get_in_through_monais_other_readers(tmp_path):
    nib.save(nib.Nifti1Image(np.full((4, 4, 4), np.nan, np.float32), np.eye(4)), tmp_path / "scan.nii.gz")
    with pytest.raises(InputError, match="NAN"):
        load(tmp_path / "scan.nii.gz")


def test_one_bad_series_leaves_the_others_of_a_dataset_alone(tmp_path):
    write_series(tmp_path / "bad", uid="1.2.4", change=lambda k, dataset: k != 5)
    write_series(tmp_path / "good")
    items = CheckedDataset(list_items(tmp_path), LoadImaged("image", reader=READER))
    results = {item["case"]: item for item in (items[index] for index in range(2))}
    failures = [item["failure"] for item in results.values() if "failure" in item]
    assert len(failures) == 1
    assert "1 slice is missing" in failures[0]


def test_several_sequences_are_channels_and_a_missing_one_is_zero(tmp_path):
    voxels, affine = write_series(tmp_path / "t1")
    item = {"image": [str(tmp_path / "t1"), MISSING, str(tmp_path / "t1")]}
    image = Compose([LoadImaged("image", reader=READER), EnsureChannelFirstd("image")])(item)["image"]
    assert image.shape == (3, *voxels.shape)
    np.testing.assert_array_equal(image[0], voxels)
    assert not image[1].any()
    np.testing.assert_allclose(image.affine, affine, atol=1e-6)
    assert image.meta["flags"] == "missing_1"


def test_empty_images_are_refused_and_empty_labels_are_not(tmp_path):
    path = tmp_path / "label.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.eye(4)), path)
    with pytest.raises(InputError, match="EMPTY"):
        load(path)
    assert load(path, allow_constant=True).shape == (4, 5, 6)


def test_what_is_done_in_ras_is_undone_on_the_series_own_grid(tmp_path):
    write_series(tmp_path, angle=0.3)
    chain = Compose(
        [
            LoadImaged("image", reader=READER),
            EnsureChannelFirstd("image"),
            Orientationd("image", axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S"))),
        ]
    )
    item = chain({"image": str(tmp_path)})
    item["pred"] = item["image"].clone()
    back = Invertd("pred", transform=chain, orig_keys="image")(item)["pred"]
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(back[0].numpy(), volume.array)
    np.testing.assert_allclose(back.affine.numpy(), volume.affine)


def test_every_path_is_this_readers():
    assert SeriesReader().verify_suffix("anything")
