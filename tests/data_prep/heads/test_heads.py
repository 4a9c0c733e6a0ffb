"""Heads from label maps: what the tissues are, what a recipe promises, and what a picture shows."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from phantom import STEP, affine, labels
from scipy.ndimage import binary_fill_holes

from data_prep import InputError
from data_prep.heads import (
    CONTRASTS,
    TISSUES,
    Recipe,
    Stripping,
    draw_recipe,
    head_of,
    read_head,
    synthesise,
    to_tissues,
)
from data_prep.heads.acquisition import Acquisition, acquire, bias
from data_prep.heads.geometry import SUBSLICES, places


@pytest.fixture(scope="module")
def head():
    return head_of(labels(), affine())


def recipe(head, contrast="t1", seed=0, **changes):
    drawn = draw_recipe(
        np.random.default_rng(seed), head, contrasts={contrast: 1}, pixel=(3, 3), slices=(5, 5), stripped=0
    )
    return replace(drawn, **changes)


def still(head, contrast="t1", **changes):
    """Straight, sharp, without noise."""
    drawn = recipe(head, contrast)
    plain = replace(drawn.geometry, turn=(0, 0, 0), mirror=False, scale=(1, 1, 1), warp=0.0, ventricles=0.0)
    quiet = replace(drawn.contrast, spread=(0.0,) * len(TISSUES), flow=0.0)
    return replace(drawn, geometry=plain, contrast=quiet, acquisition=Acquisition(), atrophy=False, **changes)


def test_left_and_right_and_merged_maps_are_one_tissue():
    tissues = to_tissues(np.array([2, 41, 3, 42, 24, 515, 165, 0]))
    assert [TISSUES[index] for index in tissues] == ["white"] * 2 + ["cortex"] * 2 + ["fluid", "bone", "bone", "air"]


def test_a_number_that_is_no_tissue_is_named(tmp_path):
    array = labels()
    array[0, 0, 0] = 999
    nib.save(nib.Nifti1Image(array, affine()), tmp_path / "odd.nii.gz")
    with pytest.raises(InputError, match=r"odd\.nii\.gz.*999") as refused:
        read_head(tmp_path / "odd.nii.gz")
    assert refused.value.code == "UNKNOWN_LABELS"


def test_a_map_without_brain_is_refused(tmp_path):
    nib.save(nib.Nifti1Image(np.where(labels() == 511, 511, 0).astype(np.int16), affine()), tmp_path / "skin.nii")
    with pytest.raises(InputError) as refused:
        read_head(tmp_path / "skin.nii")
    assert refused.value.code == "NO_BRAIN"


def test_a_turned_map_is_the_same_head(head):
    """Axes to the left, down and front, as FreeSurfer writes them."""
    turned = np.flip(np.moveaxis(labels(), 1, 2), (0, 1))
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[2, 1], matrix[1, 2], matrix[3, 3] = -STEP, -STEP, STEP, 1
    np.testing.assert_array_equal(head_of(turned, matrix).tissues, head.tissues)


def test_the_same_recipe_gives_the_same_bytes_through_json(head):
    drawn = recipe(head, "random", seed=5)
    again = Recipe.from_json(json.loads(json.dumps(drawn.as_json())))
    assert again == drawn
    np.testing.assert_array_equal(synthesise(head, again).image, synthesise(head, drawn).image)


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_every_contrast_shows_a_head_with_the_brain_at_about_one(head, contrast):
    made = synthesise(head, recipe(head, contrast, acquisition=Acquisition(noise=0.02)))
    assert np.isfinite(made.image).all()
    assert made.image.min() >= 0
    assert 0.4 < np.median(made.image[made.brain > 0.9]) < 2.2


def test_priors_order_the_tissues_as_the_sequence_does(head):
    """White over grey over fluid in T1; fluid over grey over white in T2; fluid dark in FLAIR."""

    def means(contrast):
        mean = dict(zip(TISSUES, still(head, contrast).contrast.mean, strict=True))
        return mean["white"], mean["cortex"], mean["ventricle"]

    white, grey, fluid = means("t1")
    assert white > grey > fluid
    white, grey, fluid = means("t2")
    assert fluid > grey > white
    white, grey, fluid = means("flair")
    assert fluid < white < grey


def test_the_picture_has_each_tissue_at_its_place(head):
    """On the map's own grid, unwarped: each voxel has its tissue's mean."""
    drawn = still(head)
    size = head.tissues.shape
    centre = tuple((n - 1) / 2 for n in size)
    own = replace(drawn.geometry, size=size, spacing=(STEP,) * 3, thickness=STEP / 100, centre=centre)
    made = synthesise(head, replace(drawn, geometry=own))
    expected = np.array(drawn.contrast.mean, dtype=np.float32)[head.tissues]
    np.testing.assert_allclose(made.image, expected, atol=1e-5)


def test_a_stripped_head_is_nothing_but_brain_and_fluid(head):
    made = synthesise(head, still(head, stripping=Stripping(fluid=0.0, cerebellum=True)))
    whole = synthesise(head, still(head))
    assert (made.image > 0).sum() < 0.7 * (whole.image > 0).sum()
    assert not made.image[~binary_fill_holes(whole.brain > 0.2)].any(), "no skull, no noise outside"
    without = synthesise(head, still(head, stripping=Stripping(fluid=0.0, cerebellum=False)))
    assert (without.image > 0).sum() < (made.image > 0).sum()


def test_thick_slices_mix_what_lies_above_one_another(head):
    thin, thick = (
        synthesise(head, replace(still(head), geometry=replace(still(head).geometry, thickness=mm))).brain
        for mm in (0.5, 20.0)
    )

    def mixed(brain):
        return ((brain > 0.2) & (brain < 0.8)).mean()

    assert mixed(thick) > 2 * mixed(thin)


def test_age_widens_ventricles_and_sulci(head):
    plain = still(head)
    lit = tuple(float(name == "ventricle") for name in TISSUES)
    plain = replace(plain, contrast=replace(plain.contrast, mean=lit))
    old = replace(plain, geometry=replace(plain.geometry, ventricles=0.4))
    young, aged = synthesise(head, plain), synthesise(head, old)
    assert aged.image.sum() > 1.5 * young.image.sum() > 0
    assert synthesise(head, replace(plain, atrophy=True)).brain.sum() < 0.95 * young.brain.sum()


def test_samples_lie_symmetrically_across_a_slice(head):
    """A sample's mean over a slice's thickness is the slice's own place."""
    geometry = replace(still(head).geometry, size=(4, 4, 3), spacing=(2, 2, 6), thickness=4.0, centre=(0, 0, 0))
    where = places(geometry, middle=(0, 0, 0))
    up = where[2, 0, 0].reshape(3, SUBSLICES)
    np.testing.assert_allclose(up.mean(axis=1), [-6, 0, 6], atol=1e-6)
    np.testing.assert_allclose(np.ptp(up, axis=1), 4.0 * (SUBSLICES - 1) / SUBSLICES, atol=1e-6)


def test_noise_is_rician_and_shading_smooth():
    flat = np.full((24, 24, 6), 1.0, dtype=np.float32)
    noisy = acquire(flat, Acquisition(noise=0.05))
    assert abs(noisy.std() - 0.05) < 0.005
    air = acquire(np.zeros_like(flat), Acquisition(noise=0.05))
    assert abs(air.mean() - 0.05 * np.sqrt(np.pi / 2)) < 0.003, "the mean of a Rayleigh distribution"
    field = bias(Acquisition(coil=(0.8, 1.0, 0.0, 0.0)), flat.shape)
    assert (np.diff(field[:, 0, 0]) > 0).all(), "brighter towards the coil"
    assert field.max() / field.min() > 2


def test_a_ghost_lies_half_a_field_away():
    image = np.zeros((32, 32, 2), dtype=np.float32)
    image[4, 8] = 1.0
    shown = acquire(image, Acquisition(ghost=(0.1, 0.5, 0)))
    assert shown[20, 8, 0] == pytest.approx(0.1)
