"""One intensity scale for a volume of any organ."""

import numpy as np
import pytest
import torch
from conftest import phantom
from monai.data import MetaTensor
from scipy.ndimage import binary_dilation

from data_prep import NormalizePercentilesd, NormalizeTissued, TissueRegiond
from data_prep.transforms.intensity import tissue_mask


def item(array):
    return {"image": MetaTensor(torch.as_tensor(array[None].astype(np.float32)), affine=torch.eye(4))}


def test_tissue_is_the_head_and_not_the_air():
    array, _ = phantom()
    mask = tissue_mask(array)
    head = array > 100
    assert mask[head].mean() > 0.99
    around = binary_dilation(head, np.ones((5, 5, 1)))  # smoothing reaches two voxels into the air
    assert not mask[~around].any()
    assert tissue_mask(np.full((4, 4, 2), 7.0)).all()


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (7.5, 0.0), (0.01, -1.0), (3.0, 1000.0)])
def test_the_scale_of_the_scanner_does_not_matter(slope, offset):
    array, _ = phantom()
    usual = NormalizeTissued("image")(item(array))["image"]
    other = NormalizeTissued("image")(item(array * slope + offset))["image"]
    np.testing.assert_allclose(other, usual, atol=1e-3)
    assert np.median(usual[0][tissue_mask(array)]) == pytest.approx(0.35, abs=0.01)
    assert other.meta["intensity_scale"] * slope == pytest.approx(usual.meta["intensity_scale"], rel=1e-3)


def test_a_lesion_hardly_moves_the_scale():
    healthy, ill = (NormalizeTissued("image")(item(phantom(lesion=ill)[0]))["image"] for ill in (False, True))
    assert ill.meta["intensity_scale"] == pytest.approx(healthy.meta["intensity_scale"], rel=0.05)


def test_percentiles_become_the_ends():
    array = np.linspace(0, 1000, 4000).reshape(20, 20, 10)
    scaled = NormalizePercentilesd("image", lower=10, upper=90)(item(array))["image"]
    assert (scaled == 0).float().mean() == pytest.approx(0.1, abs=0.01)
    assert (scaled == 1).float().mean() == pytest.approx(0.1, abs=0.01)
    assert scaled.meta["intensity_scale"] == pytest.approx(1 / 800, rel=1e-3)


def test_the_middle_alone_is_measured():
    array = np.full((40, 40, 3), 900.0)  # fat all around
    array[10:30, 10:30] = 0
    array[10:30, 15:30] = 100
    scaled = NormalizePercentilesd("image", lower=1, upper=80, level=0.6, middle=0.5)(item(array))["image"]
    assert scaled[0, 12, 20, 0] == pytest.approx(0.6)
    assert scaled[0, 12, 12, 0] == 0
    assert scaled[0, 2, 2, 0] == 1
    with pytest.raises(ValueError, match="level and middle"):
        NormalizePercentilesd("image", middle=0)


@pytest.mark.parametrize(("lower", "upper"), [(50, 50), (90, 10), (-1, 99), (1, 101)])
def test_percentiles_that_are_none_are_refused(lower, upper):
    with pytest.raises(ValueError, match="percentiles must be"):
        NormalizePercentilesd("image", lower=lower, upper=upper)


def test_a_constant_volume_stays_finite():
    for transform in (NormalizeTissued("image"), NormalizePercentilesd("image")):
        assert torch.isfinite(transform(item(np.full((8, 8, 3), 5.0)))["image"]).all()


def test_the_region_keeps_away_from_the_surface():
    array, _ = phantom()
    near, deep = (TissueRegiond("image", margin=margin)(item(array))["region"][0] for margin in (1.0, 6.0))
    assert 0 < deep.sum() < near.sum()
    assert (near[deep > 0] == 1).all()
    assert not near[~tissue_mask(array)].any()
