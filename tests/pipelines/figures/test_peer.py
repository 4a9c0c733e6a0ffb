"""The comparison of our PatchCore with anomalib's: what it gathers, what both say of it, what it needs."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch
import typer
from conftest import phantom
from typer.testing import CliRunner

from anomaly.methods.patchcore import PatchCore
from pipelines.figures import peer as peer


@pytest.fixture(scope="module")
def gathered(tmp_path_factory, bundle):
    """A scan to learn from and one to plant into; a test section that cannot be read, and need not be."""
    folder = tmp_path_factory.mktemp("heads")
    for seed, section in enumerate(("training", "validation")):
        image = nib.Nifti1Image(phantom((64, 64, 6), seed=seed)[0], np.diag([3.0, 3.0, 5.5, 1.0]))
        nib.save(image, folder / f"{section}.nii.gz")
    listed = {section: [{"image": f"{section}.nii.gz"}] for section in ("training", "validation", "test")}
    (folder / "dataset.json").write_text(json.dumps(listed))
    return folder, peer.gather(bundle, folder / "dataset.json")


def test_validation_comes_healthy_and_planted_and_training_gives_features(gathered):
    _, (method, features, scans) = gathered
    assert features.shape == (60, method.channels)
    assert [(one.planted, bool(one.truth.any())) for one in scans] == [
        ("healthy", False),
        ("held_out_families", True),
        ("families", True),
    ]
    healthy, first, second = (one.image for one in scans)
    planted = torch.as_tensor(scans[1].truth)
    assert (first - healthy).abs()[0, 0][planted].mean() > 0.02
    assert not torch.equal(first, second)
    assert all(one.maps.shape[-1] == one.image.shape[-1] for one in scans)


def test_ours_says_what_the_method_says(gathered):
    _, (method, features, scans) = gathered
    filled = PatchCore(method.encoder, size=20)
    filled.keep(features)
    for one, told in zip(scans, peer.ours(filled, scans), strict=True):
        np.testing.assert_allclose(told.voxels, filled(one.image)[0, 0].numpy()[one.body], atol=1e-5)
        assert len(told.slices) == len(one.levels)
        assert max(told.slices) <= told.voxels.max()


def test_slices_beside_an_anomaly_are_not_ranked_and_seeds_are_averaged():
    body, truth = torch.full((1, 1, 2, 2, 2), 0.5), np.zeros((2, 2, 2), bool)
    ill = truth.copy()
    ill[..., 0] = True
    healthy = peer.PlantedScan(planted="healthy", image=body, truth=truth, maps=body)
    planted = peer.PlantedScan(planted="a", image=body, truth=ill, maps=body)
    scores = np.arange(8.0) / 8
    told = [peer.Scores(slices=[0.2, 0.4], voxels=scores, places=scores)]
    told.append(peer.Scores(slices=[0.3, 0.0], voxels=scores, places=scores))  # the second slice would be the lowest
    assert peer.aurocs([healthy, planted], told, "a")["slice_auroc"] == 0.5
    runs = []
    for seed, ours in enumerate((0.6, 0.8)):
        figures = {"healthytwin": {"slice_auroc": ours}, "anomalib": {"slice_auroc": 0.65}}
        figures["difference"] = {"slice_auroc": ours - 0.65}
        figures["healthytwin_on_anomalibs_bank"] = figures["anomalib"]
        runs.append({"ratio": 0.1, "seed": seed, "planted": {"a": figures}})
    (row,) = peer.summary(runs)
    assert row["difference"]["slice_auroc"] == pytest.approx(0.05)
    assert row["largest_difference_of_a_seed"]["slice_auroc"] == pytest.approx(0.15)
    assert row["range_of_ours_over_seeds"]["slice_auroc"] == pytest.approx(0.2)


def test_on_the_same_bank_both_find_the_same_distances(gathered):
    pytest.importorskip("anomalib.models", reason="the extra [anomalib] is not installed")
    _, (method, features, scans) = gathered
    told = peer.compare(method, features, scans, ratio=0.25, seed=0)
    assert told["bank"] == 15
    assert told["spearman_on_the_same_bank"] > 0.999
    for found in told["planted"].values():
        assert found["difference"]["voxel_auroc"] == pytest.approx(
            found["healthytwin"]["voxel_auroc"] - found["anomalib"]["voxel_auroc"]
        )


def test_the_command_writes_what_was_found(gathered, monkeypatch, tmp_path):
    figures = {"slice_auroc": 0.6, "voxel_auroc": 0.7}
    names = ("healthytwin", "anomalib", "healthytwin_on_anomalibs_bank", "difference")

    def found(*_, ratio, seed):
        return {"ratio": ratio, "seed": seed, "planted": {"families": dict.fromkeys(names, figures)}}

    monkeypatch.setattr(peer, "gather", lambda *_: gathered[1])
    monkeypatch.setattr(peer, "compare", found)
    monkeypatch.setattr(peer, "version", lambda _: "0")
    monkeypatch.setattr("anomaly.methods.anomalib_model.require_anomalib", lambda: None)
    app = typer.Typer()
    app.command()(peer.peer_anomalib)
    done = CliRunner().invoke(app, ["heads", "-o", str(tmp_path / "out.json"), "--seeds", "2"])
    assert done.exit_code == 0, done.stderr
    assert "10% of the features kept, families: slice AUROC healthytwin 0.600, anomalib 0.600" in done.stdout
    told = json.loads((tmp_path / "out.json").read_text())
    assert [(run["ratio"], run["seed"]) for run in told["runs"]] == [(0.1, 0), (0.1, 1), (0.25, 0), (0.25, 1)]
    scans = gathered[1][2]
    for one in scans:
        ill = sum(one.truth[..., level].any() for level in one.levels)
        assert told["slices"][one.planted] == (len(one.levels) if one.planted == "healthy" else ill)


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
