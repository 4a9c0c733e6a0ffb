"""`healthytwin pretrain`: any volumes in, an encoder out that `train` and the bundles begin from."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from conftest import phantom, rotated_affine
from typer.testing import CliRunner

from anomaly.bundle import sha256_of
from anomaly.methods.healthy_twin import HealthyTwin
from anomaly.methods.pretraining import MultiTaskNetwork
from pipelines.cli.app import app

TINY = ["--steps", "3", "--batch-size", "1"]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A datalist whose labels have three classes, and a folder of volumes with a file that is none."""
    root = tmp_path_factory.mktemp("volumes")
    affine, listed = rotated_affine((3.0, 3.0, 5.5), angle=0.1), []
    for index in range(3):
        array, mask = phantom(seed=index, lesion=True)
        nib.save(nib.Nifti1Image(array, affine), root / f"v{index}.nii.gz")
        labels = (array > 100).astype(np.uint8) + mask
        nib.save(nib.Nifti1Image(labels, affine), root / f"l{index}.nii.gz")
        listed.append({"image": f"v{index}.nii.gz", "label": f"l{index}.nii.gz"})
    (root / "dataset.json").write_text(json.dumps({"training": listed}))
    folder = tmp_path_factory.mktemp("others")
    for index in range(10):
        other = rotated_affine((4.0, 4.0, 4.0))
        nib.save(nib.Nifti1Image(phantom((48, 48, 24), seed=9 + index)[0], other), folder / f"w{index}.nii.gz")
    (folder / "broken.nii").write_bytes(b"no image")
    return root, folder


@pytest.fixture(scope="module")
def pretrained(places, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "encoder.pth"
    done = CliRunner().invoke(app, ["pretrain", *map(str, places), "-o", str(path), "--json", *TINY])
    assert done.exit_code == 3, done.stderr  # one file was refused
    return path, json.loads(done.stdout)


def test_the_file_is_medicalnets_and_a_method_begins_from_it(pretrained):
    path, _ = pretrained
    state = torch.load(path, weights_only=True)["state_dict"]
    network = HealthyTwin(encoder_weights=str(path))
    for name, value in network.generator.encoder.state_dict().items():
        assert torch.equal(value, state[f"module.{name}"]), name


def test_it_says_what_it_did(pretrained):
    path, record = pretrained
    assert record["sources"] == {"source0": {"volumes": 3, "classes": 3}, "source1": {"volumes": 10, "classes": 0}}
    assert [volume["case"] for volume in record["refused"]] == ["broken"]
    assert record["held_out"] == 1
    assert record["damage"] > 0.02
    assert record["restored"] is not None
    told = json.loads((path.parent / "encoder.pth.json").read_text())
    assert told["sha256"] == sha256_of(path)
    assert told["provenance"]["command"]


def test_one_seed_gives_the_same_bytes(places, tmp_path):
    for name in ("one", "two"):
        done = CliRunner().invoke(app, ["pretrain", str(places[0]), "-o", str(tmp_path / name / "e.pth"), *TINY])
        assert done.exit_code == 0, done.stderr
    assert (tmp_path / "one" / "e.pth").read_bytes() == (tmp_path / "two" / "e.pth").read_bytes()


def test_nothing_to_learn_from(tmp_path):
    (tmp_path / "broken.nii").write_bytes(b"no image")
    done = CliRunner().invoke(app, ["pretrain", str(tmp_path), "-o", str(tmp_path / "encoder.pth")])
    assert done.exit_code == 2
    assert "no volume can be read" in done.stderr


def test_all_tasks_teach_the_encoder():
    """Each of the three outputs sends a gradient into the same first kernel."""
    network = MultiTaskNetwork(classes={"a": 3})
    answer = network(torch.rand(1, 1, 32, 32, 4), "a")
    assert {name: value.shape[1] for name, value in answer.items()} == {
        "restored": 1,
        "damage_logit": 1,
        "segmentation": 3,
    }
    first = network.encoder.conv1.weight
    for value in answer.values():
        gradient = torch.autograd.grad(value.square().mean(), first, retain_graph=True)[0]
        assert gradient.abs().sum() > 0
    assert "segmentation" not in network(torch.rand(1, 1, 32, 32, 4), "b")
