"""CT: the body, the window of its tissue, the scale."""

import numpy as np
import pytest
import torch
from ct_phantom import ct_head
from monai.data import MetaTensor

from data_prep import NormalizeWindowd, WindowRegiond
from data_prep.transforms.hounsfield import Hounsfield, looks_like_hu
from data_prep.transforms.window import BODY_LEVEL, TissueWindow, body_mask


def item(array):
    affine = torch.as_tensor(np.diag([3.0, 3.0, 5.0, 1.0]))
    return {"image": MetaTensor(torch.as_tensor(array[None].astype(np.float32)), affine=affine)}


@pytest.mark.parametrize("padding", [None, -3024, -2000, 0])
def test_the_body_is_the_head_without_table_and_padding(padding):
    head = body_mask(ct_head()[0])
    other = body_mask(ct_head(table=padding is None, padding=padding)[0])
    assert 0.4 < head.mean() < 0.6
    assert (head != other).mean() < 0.01


def test_two_legs_are_one_body_and_the_air_in_it_belongs_to_it():
    array = np.full((60, 40, 4), -1000)
    array[5:25, 10:30] = array[35:55, 10:30] = 40
    array[12:16, 18:22] = -1000
    body = body_mask(array)
    assert body[14, 20].all()
    assert body[45, 20].all()
    assert not body[30].any()
    assert not body_mask(np.full((4, 4, 4), -1000)).any()


def test_the_window_holds_fat_fluid_and_brain_but_no_bone():
    tissue = TissueWindow()
    for seed in range(3):
        tissue.add(ct_head(seed=seed)[0])
    low, high = tissue.window()
    assert -110 < low < 0
    assert 40 < high < 250
    assert TissueWindow().window() is None


def test_the_same_hu_is_the_same_number_and_35_hu_are_seen():
    healthy, ill = (NormalizeWindowd("image", windows=[(0, 80)])(item(ct_head(bleed=hu)[0]))["image"] for hu in (0, 35))
    mask = ct_head(bleed=35)[1]
    assert float(healthy[0][mask].mean()) == pytest.approx(BODY_LEVEL + 0.95 * 35 / 80, abs=0.02)
    assert float(ill[0][mask].mean()) - float(healthy[0][mask].mean()) == pytest.approx(0.95 * 35 / 80, abs=0.05)
    assert healthy.meta["window"] == (0, 80)
    assert healthy.meta["intensity_scale"][0] * 80 == pytest.approx(0.95)
    assert healthy.min() == 0, "air"
    body = body_mask(ct_head()[0])
    assert healthy[0][torch.as_tensor(body)].min() >= BODY_LEVEL
    assert not healthy[0][torch.as_tensor(~body)].any()


def test_each_window_is_a_channel():
    image = NormalizeWindowd("image", windows=[(0, 80), (-200, 300)])(item(ct_head()[0]))["image"]
    assert image.shape == (2, 64, 64, 12)
    torch.testing.assert_close(image.affine, item(ct_head()[0])["image"].affine)


@pytest.mark.parametrize("windows", [[], [(80, 0)], [(1, 2, 3)]])
def test_a_window_that_is_none_is_refused(windows):
    with pytest.raises(ValueError, match="windows must be pairs"):
        NormalizeWindowd("image", windows=windows)


def test_anomalies_lie_in_the_brain_and_not_in_bone_and_air():
    array, _ = ct_head()
    region = WindowRegiond("image")(NormalizeWindowd("image", windows=[(-110, 150)])(item(array)))["region"][0] > 0
    assert region.any()
    inside = array[region.numpy()]
    assert np.percentile(inside, 2) > -150
    assert np.percentile(inside, 98) < 200


def test_values_tell_ct_where_nobody_says_it():
    assert looks_like_hu(ct_head()[0])
    assert not looks_like_hu(ct_head()[0] + 1024)
    assert not looks_like_hu(np.random.default_rng(0).normal(size=(8, 8, 8)))
    units = Hounsfield()
    units.add(ct_head()[0], "")
    assert units.judged("")[0] == "CT"
    assert "taken for Hounsfield units" in units.notes[0]
    mr = Hounsfield()
    mr.add(ct_head()[0], "MR")
    assert mr.judged("MR") == ("MR", None)


def test_ct_without_air_is_told():
    units = Hounsfield()
    units.add(ct_head()[0] + 1024, "CT")
    units.judged("CT")
    assert "no air at -1000 HU" in units.notes[0]
