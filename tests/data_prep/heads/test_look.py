"""What a made head looks like: its sequence, and whether its skull is there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data_prep.heads import look
from data_prep.heads.look import CLASSES, features, look_of


def ball(levels: tuple[float, ...], *, zoom: int = 1) -> np.ndarray:
    """Shells from the outside to the middle, each of one brightness."""
    size = 48 * zoom
    places = np.stack(np.meshgrid(*[np.arange(size) - (size - 1) / 2] * 3, indexing="ij"))
    radius = np.linalg.norm(places, axis=0) / (22 * zoom)
    shells = np.clip(((1 - radius) * len(levels)).astype(int), 0, len(levels) - 1)
    return np.where(radius <= 1, np.array(levels)[shells], 0.0)


def test_features_do_not_depend_on_brightness_and_little_on_resolution() -> None:
    coarse, fine = ball((0.5, 1.0, 0.8)), ball((0.5, 1.0, 0.8), zoom=2)
    seen = features(coarse, (4.0, 4.0, 4.0))
    assert seen is not None
    np.testing.assert_allclose(features(coarse * 700, (4.0, 4.0, 4.0)), seen, atol=1e-5)
    np.testing.assert_allclose(features(fine, (2.0, 2.0, 2.0)), seen, atol=0.25)
    assert abs(seen - features(ball((1.0, 0.5, 0.8)), (4.0, 4.0, 4.0))).max() > 0.3


@pytest.mark.parametrize("array", [np.zeros((20, 20, 20)), np.ones((3, 3, 3))], ids=["empty", "tiny"])
def test_nothing_is_said_of_what_cannot_be_seen(array: np.ndarray) -> None:
    assert look_of(array, (4.0, 4.0, 4.0)) is None


def test_what_was_fitted_was_right_on_heads_of_other_people() -> None:
    fitted = json.loads(Path(look.__file__).with_name("look.json").read_text())
    assert fitted["held_out_heads"] >= 100
    assert fitted["flair"]["held_out_accuracy"] > 0.75
    assert fitted["skull"]["held_out_accuracy"] > 0.9
    assert set(CLASSES) < set(fitted)


@pytest.mark.parametrize("data", ["ixi-t1", "healthy-t1", "lgg-flair/images"])
def test_real_heads_are_told_apart(data: str, shared_data: Path) -> None:
    from data_prep import read_volume

    folder = shared_data / data
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    volumes = [read_volume(path) for path in sorted(folder.rglob("*.nii.gz"))[:24]]
    seen = [look_of(volume.array, volume.spacing) for volume in volumes]
    flair = [one is not None and one.flair >= 0.3 for one in seen]
    skull = [one is not None and one.skull >= 0.5 for one in seen]
    assert np.mean(flair) > 0.7 if data.startswith("lgg") else not any(flair)
    assert all(skull) if data != "healthy-t1" else not any(skull)
