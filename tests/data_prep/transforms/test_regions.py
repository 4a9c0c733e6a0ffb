"""Head transforms and healthy runs."""

import numpy as np
import pytest
import torch
from conftest import phantom
from monai.data import MetaTensor
from monai.transforms import CenterSpatialCropd, Compose, Orientationd

from data_prep import BoxRegiond, CropRund, HeadRegiond, NormalizeHeadd, level_weights, list_runs
from data_prep.transforms.body import head_depth, head_mask


def image(array, affine=None):
    affine = torch.as_tensor(np.diag([3.0, 3.0, 5.5, 1.0]) if affine is None else affine)
    return MetaTensor(
        torch.as_tensor(array[None], dtype=torch.float32), affine=affine, meta={"original_affine": affine}
    )


@pytest.mark.parametrize("factor", [0.01, 1.0, 7.3])
def test_the_middle_of_the_head_becomes_035_whatever_the_scale(factor):
    out = NormalizeHeadd("image")({"image": image(phantom()[0] * factor)})["image"]
    assert out[0, 24:40, 24:40].median() == pytest.approx(0.35, abs=0.03)
    assert out.min() == 0
    assert out.max() <= 1
    assert out.meta["intensity_scale"] * 300 * factor == pytest.approx(0.35, rel=0.1)


def test_a_lesion_hardly_moves_the_scale():
    scales = [
        NormalizeHeadd("image")({"image": image(phantom(lesion=lesion)[0])})["image"].meta["intensity_scale"]
        for lesion in (False, True)
    ]
    assert scales[1] == pytest.approx(scales[0], rel=0.15)


def test_empty_slices_do_not_break_the_scale():
    array = phantom()[0]
    array[..., :3] = 0
    out = NormalizeHeadd("image")({"image": image(array)})["image"]
    assert torch.isfinite(out).all()


def test_region_is_the_inside_of_the_head():
    out = HeadRegiond("image", margin=15)({"image": image(phantom()[0])})
    region = out["region"][0]
    assert region[32, 32].all()
    assert not region[3].any()
    depth = head_depth(head_mask(phantom()[0]), (3, 3, 5.5))
    np.testing.assert_array_equal(region.numpy() > 0, depth > 15)


def test_region_can_be_kept_to_brain_like_tissue():
    array = phantom()[0]
    array[28:36, 28:36] = 2
    scaled = NormalizeHeadd("image")({"image": image(array)})
    region = HeadRegiond("image", tissue=(0.2, 0.6))(scaled)["region"][0]
    assert not region[31:33, 31:33].any(), "fluid"
    assert region[20, 32].all()


@pytest.mark.parametrize("flip", [1, -1])
def test_runs_follow_the_file_through_reorientation(flip):
    array = phantom()[0]
    array[..., 2:5] += 1000
    affine = np.diag([3.0, -3.0, 5.5 * flip, 1.0])
    labels = (("L", "R"), ("P", "A"), ("I", "S"))
    chain = Compose([Orientationd("image", axcodes="RAS", labels=labels), CropRund("image")])
    out = chain({"image": image(array, affine), "run": [2, 5]})["image"]
    assert out.shape == (1, 64, 64, 3)
    assert (out >= 900).all()


def test_an_item_without_a_run_stays_whole():
    assert CropRund("image")({"image": image(phantom()[0])})["image"].shape[-1] == 8


def test_a_run_beyond_the_volume_is_an_error():
    with pytest.raises(ValueError, match=r"\[6, 12\)"):
        CropRund("image")({"image": image(phantom()[0]), "run": [6, 12]})


def test_runs_are_refused_when_the_slices_turned():
    labels = (("L", "R"), ("P", "A"), ("I", "S"))
    turn = Orientationd("image", axcodes="RAS", labels=labels)
    sagittal = np.array([[0, 0, 5.5, 0], [3.0, 0, 0, 0], [0, 3.0, 0, 0], [0, 0, 0, 1]])
    with pytest.raises(ValueError, match="last axis"):
        CropRund("image")({**turn({"image": image(phantom()[0], sagittal)}), "run": [2, 5]})


def test_list_runs_and_level_weights(cohort):
    items = list_runs(cohort, "training")
    assert [item.get("run") for item in items] == [[0, 6], None]
    weights = level_weights(items)
    assert sum(weights) == pytest.approx(1)
    assert weights[1] > weights[0], "the whole volume has the rarer upper levels"


def test_short_runs_are_left_out(cohort):
    assert len(list_runs(cohort, "training", shortest=7)) == 1


def test_the_region_of_a_box_is_found_again_after_turning_and_cropping():
    affine = np.diag([-1.5, 1.5, 10.0, 1.0])
    array = np.zeros((64, 48, 6))
    array[20:40, 10:22, 1:4] = 1
    scan = image(array, affine)
    crop = Compose([Orientationd("image", axcodes="RAS", labels=None), CenterSpatialCropd("image", (40, 32, -1))])
    out = crop({"image": scan, "heart": [[20, 40], [10, 22], [1, 4]]})
    out = BoxRegiond("image", box_key="heart")(out)
    region, inside = out["region"][0].numpy() > 0, out["image"][0].numpy() > 0
    assert not region[~inside].any()
    assert region.sum() == pytest.approx(np.pi / 4 * inside.sum(), rel=0.05)
    assert region.any(axis=(0, 1)).tolist() == [False, True, True, True, False, False]


def test_the_darker_part_of_a_box_is_the_wall_and_not_the_blood():
    array = np.full((40, 40, 4), 0.6)
    i, j = np.indices((40, 40))
    radius = np.hypot(i - 19.5, j - 19.5)
    array[(radius > 8) & (radius < 14)] = 0.1
    box = [[6, 34], [6, 34], [0, 4]]
    region = BoxRegiond("image", darker=True)({"image": image(array), "box": box})["region"][0].numpy() > 0
    wall = (radius > 9) & (radius < 13)
    assert region[wall].all()
    assert not region[radius < 7].any()
    assert not region[radius > 15].any()


def test_fat_around_the_wall_does_not_make_the_blood_dark():
    array = np.full((40, 40, 4), 1.0)  # fat, much brighter than the blood
    i, j = np.indices((40, 40))
    radius = np.hypot(i - 19.5, j - 19.5)
    array[radius < 12.5] = 0.15
    array[radius < 8] = 0.3
    array[19:21, 19:21] = 0.0  # a dark speck
    region = BoxRegiond("image", darker=True)({"image": image(array), "box": [[6, 34], [6, 34], [0, 4]]})["region"]
    wall = (radius > 9.5) & (radius < 11)
    assert (region[0].numpy()[wall] > 0).all()
    assert not region[0].numpy()[(radius < 7) & (radius > 3)].any()


def test_without_a_box_everything_is_the_region_and_a_wrong_box_is_named():
    scan = image(phantom()[0])
    assert BoxRegiond("image")({"image": scan})["region"].all()
    with pytest.raises(ValueError, match="not a box"):
        BoxRegiond("image")({"image": scan, "box": [[5, 5], [0, 3], [0, 3]]})
