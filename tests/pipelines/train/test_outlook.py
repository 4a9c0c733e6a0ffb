"""The plan of a training is told before it begins."""

import json

import nibabel as nib
import pytest
from conftest import phantom, rotated_affine
from ct_phantom import ct_head

from pipelines.bundles import shipped_bundle
from pipelines.cohort.healthy import gather
from pipelines.train.choices import Choices
from pipelines.train.configs import plan_for, write_bundle
from pipelines.train.outlook import needed_bytes, outlook, read_config


@pytest.fixture
def told(tmp_path):
    """`told(choices)` is the plan for four scans."""

    def tell(choices=None, *, make=lambda seed: phantom(seed=seed)[0], free=None, **settings):
        (tmp_path / "scans").mkdir(exist_ok=True)
        for seed in range(4):
            image = nib.Nifti1Image(make(seed), rotated_affine((3.0, 3.0, 6.0)))
            nib.save(image, tmp_path / "scans" / f"{seed}.nii.gz")
        data = gather(tmp_path / "scans")
        plan = plan_for(data.fingerprint, window=data.window, choices=choices or Choices())
        write_bundle(tmp_path / "b", shipped_bundle(), plan, metadata={"name": "b"})
        return outlook(read_config(tmp_path / "b" / "configs" / "train.yaml", settings), data, free=free)

    return tell


def test_what_follows_from_the_scans(told):
    voxels, intensity, anomalies, size, memory = told()
    assert voxels == "voxel size: 3 x 3 x 6 mm, of the scans 3 x 3 x 6 mm; up to 64 x 64 x 8 voxels"
    assert intensity.startswith("intensity: the median of the tissue becomes 0.35")
    assert "shift x 3" in anomalies
    assert "25% of those" in anomalies
    assert size.startswith("half width 9 to 38.4 mm; regions below 0.1 ml")
    assert "4 scans" in memory
    assert "free" not in memory


def test_what_was_chosen_and_set(told):
    choices = Choices(windows=((0.0, 80.0),), radius=(6.0, 12.0), min_lesion=0.5, darker=0.75)
    lines = told(choices, make=lambda seed: ct_head(seed=seed)[0], free=10**6, epochs=1, steps=3)
    assert lines[1] == "window: 0 to 80 HU"
    assert "75% of those" in lines[2]
    assert lines[3].startswith("half width 6 to 12 mm; regions below 0.5 ml")
    assert "0.0 GB are free: choose a coarser --voxel-size" in lines[4]


def test_memory_grows_with_voxels_scans_and_channels():
    few = {"scans": 10, "channels": 1, "batch": 3}
    coarse, fine = (needed_bytes((96, 96, 8), shape, **few) for shape in ((90, 110, 90), (180, 220, 180)))
    assert fine > 2 * coarse
    assert needed_bytes((96, 96, 8), (90, 110, 90), **few | {"channels": 2}) > coarse


def test_the_record_keeps_the_plan_and_people_see_it(tmp_path, healthytwin):
    (tmp_path / "scans").mkdir()
    for seed in range(4):
        image = nib.Nifti1Image(phantom(seed=seed)[0], rotated_affine((3.0, 3.0, 6.0)))
        nib.save(image, tmp_path / "scans" / f"{seed}.nii.gz")
    options = ["--epochs", 1, "--steps", 1, "--batch-size", 1, "--voxel-size", "4,4,6", "--json"]
    done = healthytwin("train", tmp_path / "scans", "-o", tmp_path / "b", *options)
    assert done.exit_code == 0, done.stderr
    assert "voxel size: 4 x 4 x 6 mm" in done.stderr
    assert json.loads(done.stdout)["plan"][0].startswith("voxel size: 4 x 4 x 6 mm")
