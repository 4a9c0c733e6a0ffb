"""`RandSynthesiseHeadd` in a MONAI pipeline."""

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose
from phantom import affine, labels

from anomaly.synthesis import PlantAnomalyd
from data_prep.heads import head_of, synthesise
from data_prep.heads.transforms import HeadMapd, RandSynthesiseHeadd

SIZE = (32, 32, 4)


@pytest.fixture
def item():
    return {"label": MetaTensor(torch.from_numpy(labels()[None]), affine=torch.from_numpy(affine()))}


def transform(**options):
    settings = {"contrasts": {"flair": 1.0}, "size": SIZE, "pixel": (4, 6), "slices": (5, 8), "stripped": 0.0}
    return RandSynthesiseHeadd("label", **(settings | options))


def test_one_seed_one_picture(item):
    first, second, other = (transform().set_random_state(seed)(item) for seed in (1, 1, 2))
    assert torch.equal(first["image"], second["image"])
    assert not torch.equal(first["image"], other["image"])


def test_the_picture_has_the_size_the_scale_and_the_place_of_the_brain(item):
    made = transform(slices=(5, 5)).set_random_state(3)(item)
    image, region = made["image"], made["region"]
    assert tuple(image.shape) == tuple(region.shape) == (1, *SIZE)
    assert 0 <= float(image.min()) <= float(image.max()) <= 1
    assert image.pixdim[2] == pytest.approx(5.0)
    assert 0.2 < float(image[region > 0].median()) < 0.6


def test_the_recipe_replays_it(item):
    made = transform(level=(1.0, 1.0)).set_random_state(4)(item)
    again = synthesise(head_of(labels(), affine()), made["recipe"]).image
    shown = made["image"][0].numpy()
    inside = (shown > 0.01) & (shown < 0.99)
    ratio = shown[inside] / again[inside]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-4)


def test_anomalies_are_planted_in_the_brain_that_it_gives(item):
    pipeline = Compose(
        [
            transform(),
            PlantAnomalyd("image", region_key="region", families=["plateau"], prob=1.0, radius=(3, 6), reach=0),
        ]
    ).set_random_state(5)
    made = pipeline(item)
    assert made["mask"].any()
    assert not made["mask"][made["region"] == 0].any()


def test_a_map_that_was_read_before_gives_the_same_picture(item, tmp_path):
    nib.save(nib.Nifti1Image(labels(), affine()), tmp_path / "one.nii.gz")
    ready = HeadMapd("label")({"label": tmp_path / "one.nii.gz"})
    one, other = (transform().set_random_state(6)(each) for each in (item, ready))
    assert torch.equal(one["image"], other["image"])
