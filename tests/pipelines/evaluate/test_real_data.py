"""The figures in docs/reference/results are what the shipped bundle gives on the real data."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app

RESULTS = Path(__file__).resolve().parents[3] / "docs" / "reference" / "results"


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output


def brainix_dice(mask, folder):
    """Dice of a mask with the outlined tumour, once each of its voxels was found to lie on one of the reference's."""
    reference = nib.load(folder / "flair_reference.nii.gz")
    to_reference = np.linalg.inv(reference.affine) @ mask.affine
    index = np.indices(mask.shape).reshape(3, -1)
    place = to_reference[:3, :3] @ index + to_reference[:3, 3:]
    assert np.abs(place - np.rint(place)).max() < 1e-3
    assert sorted(mask.shape) == sorted(reference.shape)
    truth = np.asarray(nib.load(folder / "roi.nii.gz").dataobj) > 0
    truth = truth[tuple(np.rint(place).astype(int))].reshape(mask.shape)
    found = np.asarray(mask.dataobj) > 0
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def test_a_real_series_gives_one_mask_in_the_scanners_geometry(shared_data, tmp_path):
    """`healthytwin detect ../shared/data/brainix/FLAIR`: world position voxel by voxel, and the committed Dice."""
    run("detect", shared_data / "brainix" / "FLAIR", "-o", tmp_path, "--no-report")
    (mask_file,) = tmp_path.glob("*_mask.nii.gz")
    dice = brainix_dice(nib.load(mask_file), shared_data / "brainix")
    committed = json.loads((RESULTS / "brainix.json").read_text())
    assert dice == pytest.approx(committed["dice_at_threshold"], abs=0.01)


def test_the_lgg_figures_come_out_again(shared_data, tmp_path):
    run("evaluate", shared_data / "lgg-flair", "-o", tmp_path, "--no-report")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    committed = json.loads((RESULTS / "lgg-flair-test.json").read_text())
    for name in ("voxel_ap", "best_dice", "dice_at_threshold", "slice_auroc"):
        assert metrics[name] == pytest.approx(committed[name], abs=0.01), name
