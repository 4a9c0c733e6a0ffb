"""What the network sees of a volume whose slices are stacked askew."""

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from anomaly import VolumeError, load_detector
from anomaly.engines.writer import write_examination
from anomaly.method import SinglePass
from anomaly.methods.intensity import IntensityThreshold
from data_prep import Volume


def head(points):
    """A smooth head in the world, `(..., 3)` mm to intensities."""
    x, y, z = np.moveaxis(points, -1, 0)
    inside = 1 / (1 + np.exp(40 * ((x / 70) ** 2 + (y / 85) ** 2 + (z / 80) ** 2 - 1)))
    return inside * (300 + 60 * np.sin(x / 25) * np.cos(y / 30) + 2 * y)


def points(shape, affine):
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def tilted(degrees, shape=(90, 100, 40)):
    """The head on a grid sheared by a gantry tilt."""
    affine = np.diag([2.0, 2.0, 4.5, 1.0])
    affine[1, 2] = 4.5 * np.tan(np.radians(degrees))
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Volume(head(points(shape, affine)).astype(np.float32), affine)


@pytest.fixture(scope="module")
def detector(bundle):
    return load_detector(bundle, device="cpu")


def test_a_tilted_gantry_is_resampled_to_right_angles(detector):
    prepared = detector.prepare(tilted(22.0))
    axes = prepared.affine.numpy()[:3, :3]
    unit = axes / np.linalg.norm(axes, axis=0)
    np.testing.assert_allclose(unit.T @ unit, np.eye(3), atol=1e-6)
    seen, true = prepared[0].numpy(), head(points(prepared.shape[1:], prepared.affine.numpy()))
    brain = true > 150
    gain = (seen[brain] * true[brain]).sum() / (true[brain] ** 2).sum()
    assert np.percentile(np.abs(seen[brain] / gain - true[brain]), 95) < 0.05 * true.max()


def test_its_mask_lies_on_the_scan_as_it_was_made(detector, tmp_path):
    volume = tilted(22.0)
    exam = detector.examine(volume, case="tilted")
    assert exam.score.shape == volume.shape
    written = nib.load(write_examination(exam, volume.affine, tmp_path)["score"])
    np.testing.assert_allclose(written.affine, volume.affine, atol=1e-4)
    # the twin is the head again, on the sheared grid: a shear that was lost on the way would move it
    middle = exam.twin[45, :, :]
    rows, slices = np.mgrid[0:100, 0:40]
    shifted = map_coordinates(middle, [rows + 6, slices], order=1)
    brain = volume.array[45] > 150
    assert np.abs(middle - volume.array[45])[brain].mean() < np.abs(shifted - volume.array[45])[brain].mean()


def test_short_of_memory_the_same_is_found_in_smaller_slabs(detector, monkeypatch):
    volume = tilted(0.0, shape=(36, 36, 10))
    volume.array[16:22, 16:22, 4:7] = 900
    usual = detector.examine(volume, case="head")
    monkeypatch.setattr(detector, "free_memory", lambda: 0)
    short = detector.examine(volume, case="head")
    assert (usual.finding.flags, short.finding.flags) == ([], ["small_slabs"])
    np.testing.assert_allclose(short.score, usual.score, atol=1e-5)
    np.testing.assert_allclose(short.twin, usual.twin, rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(short.mask, usual.mask)
    assert usual.score.max() > 0.5


def test_a_method_without_a_twin_draws_none(detector, monkeypatch, tmp_path):
    volume = tilted(0.0, shape=(36, 36, 10))
    monkeypatch.setattr(detector, "network", IntensityThreshold())
    exam = detector.examine(volume, case="head")
    assert exam.twin is None
    assert exam.score.max() > 0
    written = write_examination(exam, volume.affine, tmp_path)
    assert sorted(written) == ["finding", "mask", "score"]


def test_a_twin_without_a_mask_is_the_whole_healthy_image(detector, monkeypatch):
    class Smooth(SinglePass):
        """The image at half its brightness is taken for healthy."""

        def explain(self, image):
            return {"score": image / 2, "twin": image / 2}

    volume = tilted(0.0, shape=(36, 36, 10))
    monkeypatch.setattr(detector, "network", Smooth())
    exam = detector.examine(volume, case="head")
    brain = volume.array > 200
    np.testing.assert_allclose(np.median(exam.twin[brain] / volume.array[brain]), 0.5, atol=0.02)


def test_one_voxel_that_is_no_number_is_refused_and_not_called_healthy(detector):
    volume = tilted(0.0, shape=(36, 36, 10))
    volume.array[18, 18, 5] = np.nan
    for call in (detector, detector.examine, detector.healthy, detector.prepare):
        with pytest.raises(VolumeError, match="1 voxels of the volume are not numbers"):
            call(volume)
