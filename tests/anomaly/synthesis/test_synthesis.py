"""Planted anomalies: replayable, inside the region, with a mask that tells what changed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor

from anomaly.synthesis import FAMILIES, PlantAnomalyd
from anomaly.synthesis.shapes import draw_shape, render_shape, smooth_noise
from anomaly.synthesis.transforms import Planting, plant, room


def head(spatial=(64, 64, 6)):
    """A bright ellipse with structure, and its inside."""
    grid = np.indices(spatial)
    centre = (np.array(spatial[:2]) - 1) / 2
    radius = np.hypot(grid[0] - centre[0], grid[1] - centre[1])
    texture = smooth_noise(np.random.default_rng(3), spatial, grain=4)
    return ((radius < 28) * np.clip(0.35 + 0.2 * texture, 0.05, 1)).astype(np.float32), radius < 22


def item(**more):
    image, region = head()
    return {"image": MetaTensor(image[None]), "region": torch.as_tensor(region[None]), **more}


@pytest.mark.parametrize("family", FAMILIES)
def test_family_changes_the_image_only_where_allowed(family):
    transform = PlantAnomalyd(
        "image", region_key="region", families=[family], prob=1.0, radius=(8, 12), most=1, reach=0
    )
    transform.set_random_state(1)
    hits = 0
    for _ in range(8):
        out = transform(item())
        changed = (out["image"] - out["healthy"]).abs() > 1e-6
        assert not changed[~out["region"]].any()
        assert out["image"].min() >= 0
        assert out["image"].max() <= 1
        if out["mask"].any():
            hits += 1
            assert changed[out["mask"] > 0].float().mean() > 0.8
            assert not out["mask"][0][~out["region"][0]].any()
    assert hits >= 4, "most plantings of this size must be visible"


def test_room_closes_gaps_and_has_no_hard_rim():
    region = np.zeros((40, 40, 3), dtype=bool)
    region[8:32, 8:32, :2] = True
    region[19:22, :, :] = False  # a sulcus, three voxels wide
    wide = room(region, 3.0)
    assert (wide[19:22, 12:28, :2] > 0.99).all(), "the sulcus is closed"
    assert not wide[..., 2].any(), "in-plane only"
    assert not wide[:5].any(), "no further than the wider rim"
    assert np.abs(np.diff(wide[:, 20, 0])).max() < 0.5, "no step at the rim"
    np.testing.assert_array_equal(room(region, 0.0), region)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("spatial", [(12, 12), (12, 12, 3)])
def test_room_of_everything_and_of_nothing(spatial, full):
    region = np.full(spatial, full)
    np.testing.assert_array_equal(room(region, 4.0), region)


def test_room_reaches_the_border_of_the_image():
    region = np.ones((20, 20, 2), dtype=bool)
    region[:, 9:11] = False
    assert (room(region, 3.0) > 0.99).all()


def test_what_cannot_be_seen_is_not_true():
    """Blurring changes nothing where the image is flat, though the shape lies there too."""
    image = np.full((64, 64, 3), 0.4, dtype=np.float32)
    image[32:, ::4] = 0.8
    everywhere = np.ones(image.shape, dtype=bool)
    shape = draw_shape(np.random.default_rng(2), everywhere, radius=(20, 20), slice_ratio=(1, 1))
    for seed in range(4):
        planting = Planting(family="blur", shape=shape, seed=seed)
        abnormal, mask = plant(image, [planting], everywhere)
        changed = np.abs(abnormal - image)
        assert changed[mask > 0].mean() > 0.05
        assert (changed[(mask == 0) & (render_shape(shape, image.shape) > 0.35)] < 0.12).all()


def test_shapes_and_types():
    out = PlantAnomalyd("image", region_key="region", prob=1.0)(item())
    for key in ("image", "healthy", "mask"):
        assert out[key].shape == (1, 64, 64, 6)
        assert out[key].dtype == torch.float32
    assert set(np.unique(out["mask"])) <= {0.0, 1.0}


def test_2d_images():
    image, region = head()
    data = {"image": torch.as_tensor(image[None, ..., 0]), "region": torch.as_tensor(region[None, ..., 0])}
    for family in FAMILIES:
        out = PlantAnomalyd("image", region_key="region", families=[family], prob=1.0, radius=(8, 12))(data)
        assert out["mask"].shape == (1, 64, 64)


def test_same_seed_same_anomaly_other_seed_another():
    def run(seed):
        return PlantAnomalyd("image", region_key="region", prob=1.0).set_random_state(seed)(item())["image"]

    assert torch.equal(run(5), run(5))
    assert not torch.equal(run(5), run(6))


def test_seed_keys_make_the_draw_depend_on_the_item_alone():
    transform = PlantAnomalyd("image", region_key="region", prob=1.0, seed_keys=["case", "run"])
    first = transform(item(case="a", run=[0, 6]))["image"]
    transform(item(case="b", run=[0, 6]))
    assert torch.equal(first, transform(item(case="a", run=[0, 6]))["image"])
    assert not torch.equal(first, transform(item(case="b", run=[0, 6]))["image"])


def test_plantings_replay():
    transform = PlantAnomalyd("image", region_key="region", prob=1.0, keep_plantings=True).set_random_state(2)
    out = transform(item())
    image, mask = plant(out["healthy"][0].numpy(), out["plantings"], out["region"][0].numpy())
    np.testing.assert_array_equal(image, out["image"][0].numpy())
    np.testing.assert_array_equal(mask, out["mask"][0].numpy())


def test_healthy_items_stay_untouched():
    out = PlantAnomalyd("image", region_key="region", prob=0.0)(item())
    assert torch.equal(out["image"], out["healthy"].as_tensor())
    assert not out["mask"].any()


def test_empty_region_plants_nothing():
    data = item()
    data["region"] = torch.zeros_like(data["region"])
    assert not PlantAnomalyd("image", region_key="region", prob=1.0)(data)["mask"].any()


def test_unknown_family_is_named():
    with pytest.raises(ValueError, match="gremlins"):
        PlantAnomalyd("image", families=["gremlins"])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.tuples(st.integers(8, 40), st.integers(8, 40), st.integers(1, 12)))
def test_shapes_lie_in_unit_range_and_reach_their_centre(seed, spatial):
    rng = np.random.default_rng(seed)
    shape = draw_shape(rng, np.ones(spatial, dtype=bool), radius=(3, 10), slice_ratio=(0.2, 1.0))
    mask = render_shape(shape, spatial)
    assert mask.shape == spatial
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert mask[tuple(int(c) for c in shape.lobes[0].centre)] > 0
