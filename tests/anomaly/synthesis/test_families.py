"""What single families promise beyond changing the image inside their shape."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, gaussian_filter, label

from anomaly.synthesis.families import FAMILIES, SHAPES
from anomaly.synthesis.shapes import draw_lining, draw_scatter, render_shape, smooth_noise, to_enclosed
from anomaly.synthesis.transforms import Planting, plant

SPATIAL = (64, 64, 6)


@pytest.fixture
def image():
    return np.clip(0.35 + 0.2 * smooth_noise(np.random.default_rng(3), SPATIAL, grain=4), 0, 1).astype(np.float32)


def disc(radius=10.0):
    i, j, k = np.indices(SPATIAL)
    return (np.clip(radius - np.hypot(i - 32, j - 30), 0, 1) * ((k > 0) & (k < 5))).astype(np.float32)


def test_there_are_families_enough_to_train_on_some_and_choose_on_others():
    assert set(SHAPES) == set(FAMILIES)
    assert len(FAMILIES) >= 6


def test_a_poisson_patch_has_no_seam_where_a_linear_one_has(image):
    mask = (disc() > 0.5).astype(np.float32)
    image = gaussian_filter(image, (3, 3, 0)) + np.linspace(0, 0.5, 64, dtype=np.float32)[:, None, None]
    ring = (mask > 0) & ~binary_erosion(mask > 0, np.ones((3, 3, 1)))

    def step(family):
        """Change along the outline, whose outside does not change."""
        changes = [FAMILIES[family](image, mask, np.random.default_rng(seed)) - image for seed in range(12)]
        return np.mean([np.abs(change[ring]).mean() for change in changes])

    assert step("poisson") < 0.3 * step("foreign")


def test_a_poisson_patch_reaches_the_edge_of_the_image(image):
    mask = np.zeros(SPATIAL, dtype=np.float32)
    mask[:12, 50:, :2] = 1
    changed = FAMILIES["poisson"](image, mask, np.random.default_rng(0))
    assert np.isfinite(changed).all()
    assert np.abs(changed - image)[mask > 0].max() > 0.01


def test_swapped_texture_keeps_the_smooth_level(image):
    mask = disc(14)
    core = gaussian_filter(disc(8), (1, 1, 0)) > 0.9
    for seed in range(5):
        changed = FAMILIES["swap"](image, mask, np.random.default_rng(seed))
        assert abs(changed[core].mean() - image[core].mean()) < 0.05
        assert np.abs(changed - image)[core].mean() > 0.02


def test_scattered_spots_are_many_and_small():
    region = np.ones((96, 96, 8), dtype=bool)
    counts, largest = [], []
    for seed in range(10):
        shape = draw_scatter(np.random.default_rng(seed), region, radius=(6, 18), slice_ratio=(0.2, 0.5))
        parts, count = label(render_shape(shape, region.shape) > 0.35)
        counts.append(count)
        largest.append(np.bincount(parts.ravel())[1:].max() if count else 0)
    assert np.median(counts) >= 3
    assert max(largest) < region.size / 20


def ring(spatial=SPATIAL, inner=8.0, outer=16.0):
    i, j, k = np.indices(spatial)
    away = np.hypot(i - 32, j - 32)
    return (away > inner) & (away < outer) & (k > 0) & (k < 5)


def test_a_lining_follows_the_wall_on_its_inner_side(image):
    wall, i, j = ring(), *np.indices(SPATIAL)[:2]
    outer = wall & (np.hypot(i - 32, j - 32) > 14)
    wide = []
    for seed in range(12):
        shape = draw_lining(np.random.default_rng(seed), wall, radius=(3, 8), slice_ratio=(0.2, 0.7))
        assert 1.5 <= shape.depth <= 0.55 * 8
        planted, truth = plant(image, [Planting(family="lining", shape=shape, seed=seed)], wall)
        assert not (truth.astype(bool) & (outer | ~wall)).any()
        assert np.array_equal(planted[~wall], image[~wall])
        angle = np.arctan2(j - 32, i - 32)[truth > 0]
        wide.append(np.ptp(angle) if len(angle) else 0)
    assert np.median(wide) > np.pi / 4  # along the wall, not a spot


def test_a_lining_of_what_encloses_nothing_is_a_usual_shape():
    full = np.ones(SPATIAL, dtype=bool)
    shape = draw_lining(np.random.default_rng(0), full, radius=(3, 8), slice_ratio=(0.2, 0.7))
    assert shape.depth == 0
    assert render_shape(shape, SPATIAL).max() > 0.5


def test_a_gap_does_not_open_a_ring_and_a_speck_is_no_cavity():
    wall = ring()
    wall[32:35, 40:48] = False  # a gap of three voxels in the wall
    away = to_enclosed(wall)
    assert away[32, 32, 2] == 0
    assert 0 < away[32 - 12, 32, 2] < 6
    assert away[32, 32, 0] > 100  # a slice without the ring encloses nothing
    solid = np.ones((32, 32), dtype=bool)
    solid[15:17, 15:17] = False
    assert to_enclosed(solid).min() > 100
