"""Maps back on the source's grid: what MONAI's `Invertd` gives, slab by slab."""

import numpy as np
import pytest
import torch
from conftest import rotated_affine
from monai.data import MetaTensor
from monai.transforms import CenterSpatialCropd, Compose, Invertd, Orientationd, Spacingd

from anomaly.engines import ToSourced, regrid
from anomaly.engines.regrid import to_source

LABELS = (("L", "R"), ("P", "A"), ("I", "S"))


def steps(*more):
    return Compose(
        [
            Orientationd("image", axcodes="RAS", labels=LABELS),
            Spacingd("image", pixdim=(1.8, 1.8, 5.5), mode="bilinear"),
            *more,
        ]
    )


def there_and_back(prepare, affine, shape=(50, 61, 37)):
    """Maps on the prepared grid, and both ways back."""
    source = MetaTensor(torch.rand(1, *shape), affine=torch.as_tensor(affine))
    image = prepare({"image": source})["image"]
    maps = torch.nn.functional.avg_pool3d(torch.rand(2, *image.shape[1:]), 3, stride=1, padding=1)
    inverse = Invertd("maps", transform=prepare, orig_keys="image", nearest_interp=False)
    monai = inverse({"maps": MetaTensor(maps, affine=image.affine), "image": image})["maps"].numpy()
    return to_source(maps, image.affine.numpy(), source_affine=affine, shape=shape), monai


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 0, 1)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1)])
def test_agrees_with_invertd(order, flips):
    ours, monai = there_and_back(steps(), rotated_affine((1.1, 1.3, 3.0), angle=0.2, order=order, flips=flips))
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, monai, atol=2e-4)


def test_what_was_cropped_away_is_zero():
    crop = CenterSpatialCropd("image", roi_size=(16, 16, -1))
    ours, monai = there_and_back(steps(crop), rotated_affine((1.1, 1.3, 5.0)))
    empty = monai.max(axis=0) == 0
    assert empty.mean() > 0.3
    assert (ours[:, empty] == 0).mean() > 0.97, "but for the rim of one voxel"
    inside = monai.min(axis=0) > 0.2
    np.testing.assert_allclose(ours[:, inside], monai[:, inside], atol=0.2)
    assert np.median(np.abs(ours[:, inside] - monai[:, inside])) < 1e-4


def test_slabs_do_not_show(monkeypatch):
    affine = rotated_affine((1.1, 1.3, 3.0))
    maps = torch.rand(1, 20, 22, 9)
    grid = {"source_affine": affine, "shape": (30, 31, 23)}
    prepared = affine @ np.diag([1.5, 1.5, 2.4, 1])
    one = to_source(maps, prepared, **grid)
    monkeypatch.setattr(regrid, "_SLICES", 100)
    np.testing.assert_allclose(one, to_source(maps, prepared, **grid), atol=1e-5)


def test_the_transform_brings_maps_to_the_file_that_was_loaded():
    affine = rotated_affine((1.1, 1.3, 3.0), angle=0.2, order=(0, 2, 1), flips=(-1, 1, 1))
    shape = (50, 61, 37)
    meta = {"original_affine": affine, "spatial_shape": np.array(shape)}
    image = steps()({"image": MetaTensor(torch.rand(1, *shape), affine=torch.as_tensor(affine), meta=meta)})["image"]
    maps = torch.rand(1, *image.shape[1:])
    result = ToSourced(["pred", "body"], nearest=[False, True])({"pred": maps, "body": maps[0] > 0.5, "image": image})
    np.testing.assert_allclose(result["pred"].affine, affine)
    expected = to_source(maps, image.affine.numpy(), source_affine=affine, shape=shape)
    np.testing.assert_array_equal(result["pred"].numpy(), expected)
    assert set(np.unique(result["body"].numpy())) == {0, 1}
    assert result["body"].shape == (1, *shape)
