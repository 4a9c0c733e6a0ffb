"""The curve of validations over the steps of several trainings."""

import json

import pytest
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from pipelines.figures.learning_curve import learning_curve, read_stage
from pipelines.problems import CommandError


def logged(folder, values, *, steps=5):
    """What the bundles' handlers write: a loss every step, the metrics every `steps` of them."""
    losses, metrics = SummaryWriter(folder), SummaryWriter(folder, filename_suffix=".1")
    now = 1000.0
    for epoch, value in enumerate(values, start=1):
        for step in range(steps):
            losses.add_scalar("generator_loss", 1.0, (epoch - 1) * steps + step + 1, walltime=(now := now + 1))
        for name, scale in (("voxel_ap", 1), ("best_dice", 2)):
            metrics.add_scalar(name, value * scale, epoch, walltime=now + 0.5)
    losses.close()
    metrics.close()
    return folder


def test_a_stage_goes_on_where_the_one_before_it_ended(tmp_path):
    logs = [logged(tmp_path / "a", [0.1, 0.2]), logged(tmp_path / "b", [0.25], steps=3)]
    learning_curve(logs, tmp_path / "curve.json")
    curve = json.loads((tmp_path / "curve.json").read_text())
    assert curve["steps"] == 13
    assert curve["stages"] == [
        [{"step": 5, "voxel_ap": 0.1, "best_dice": 0.2}, {"step": 10, "voxel_ap": 0.2, "best_dice": 0.4}],
        [{"step": 13, "voxel_ap": 0.25, "best_dice": 0.5}],
    ]
    assert len(Image.open(tmp_path / "curve.png").convert("RGB").getcolors(1 << 20)) > 10


def test_a_folder_without_a_training_is_named(tmp_path):
    with pytest.raises(CommandError, match=f"{tmp_path}: no log of a training"):
        read_stage(tmp_path)
