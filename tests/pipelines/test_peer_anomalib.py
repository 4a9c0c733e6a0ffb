"""The comparison of our PatchCore with anomalib's: what it gathers, what both say of it, what it needs."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch
import typer
from conftest import phantom
from typer.testing import CliRunner

from pipelines import peer_anomalib as peer


@pytest.fixture(scope="module")
def gathered(tmp_path_factory, bundle):
    """A scan to learn from and one to plant into; a test section that cannot be read, and need not be."""
    folder = tmp_path_factory.mktemp("heads")
    for seed, section in enumerate(("training", "validation")):
        image = nib.Nifti1Image(phantom((64, 64, 6), seed=seed)[0], np.diag([3.0, 3.0, 5.5, 1.0]))
        nib.save(image, folder / f"{section}.nii.gz")
    listed = {section: [{"image": f"{section}.nii.gz"}] for section in ("training", "validation", "test")}
    (folder / "dataset.json").write_text(json.dumps(listed))
    return folder, peer.gather(bundle, folder / "dataset.json", copies=2)


def test_validation_comes_healthy_and_planted_and_training_gives_features(gathered):
    _, (method, features, examined) = gathered
    assert features.shape == (60, method.channels)
    assert [bool(one.truth.any()) for one in examined] == [False, True, True]
    healthy, first, second = (one.image for one in examined)
    planted = torch.as_tensor(examined[1].truth)
    assert (first - healthy).abs()[0, 0][planted].mean() > 0.02
    assert not torch.equal(first, second)
    assert all(one.maps.shape[-1] == one.image.shape[-1] for one in examined)


def test_ours_ranks_by_the_score_of_all_methods(gathered):
    _, (method, features, examined) = gathered
    told = peer.ours(method, features, examined, seed=0)
    body = examined[0].image[0, 0].numpy() > 0.04
    assert len(told.slices) == 3 * len(list(peer.ranked(body)))
    assert len(told.voxels[0]) == body.sum()
    assert 0 < max(told.slices) <= max(voxels.max() for voxels in told.voxels) < 1
    assert len(told.places[0]) == examined[0].maps[0, 0].numel()


def test_both_say_the_same_of_the_same_features(gathered):
    pytest.importorskip("anomalib", reason="the extra [anomalib] is not installed")
    _, (method, features, examined) = gathered
    told = peer.compare(method, features.repeat(10, 1), examined, seed=0)
    assert told["spearman_of_distances"] > 0.99
    assert told["difference"]["slice_auroc"] == pytest.approx(
        told["healthytwin"]["slice_auroc"] - told["anomalib"]["slice_auroc"]
    )
    assert told["anomalib_distances_mapped_as_ours"]["voxel_auroc"] == pytest.approx(
        told["healthytwin"]["voxel_auroc"], abs=0.02
    )


def test_without_anomalib_the_remedy_is_said(gathered, monkeypatch, tmp_path):
    def refuse():
        raise ImportError("pip install 'healthytwin[anomalib]'")

    monkeypatch.setattr("anomaly.methods.anomalib_model.require_anomalib", refuse)
    app = typer.Typer()
    app.command()(peer.peer_anomalib)
    done = CliRunner().invoke(app, [str(gathered[0] / "dataset.json"), "-o", str(tmp_path / "out.json")])
    assert done.exit_code == 2
    assert "pip install 'healthytwin[anomalib]'" in done.stderr
    assert not (tmp_path / "out.json").exists()
