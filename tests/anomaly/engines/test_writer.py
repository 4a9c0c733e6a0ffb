"""A mask lies where the scan lies, in whatever reads it."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from anomaly.engines.writer import write_examination
from anomaly.finding import BundleId, Finding, Thresholds
from anomaly.scoring.assess import Examination
from data_prep import read_volume
from tests.conftest import rotated_affine

SHAPE = (40, 48, 12)
SPACING = (0.9, 1.1, 4.5)
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def sheared(affine: np.ndarray, degrees: float) -> np.ndarray:
    """As under a gantry that is tilted: each slice is shifted along its columns."""
    tilted = affine.copy()
    column = affine[:3, 1] / np.linalg.norm(affine[:3, 1])
    tilted[:3, 2] += np.tan(np.radians(degrees)) * np.linalg.norm(affine[:3, 2]) * column
    return tilted


GRIDS = {
    "straight": rotated_affine(SPACING, angle=0),
    "oblique": rotated_affine(SPACING, angle=0.4),
    "left-handed": rotated_affine(SPACING, angle=0.3, flips=(1, -1, 1)),
    "sagittal": rotated_affine(SPACING, angle=0.1, order=(1, 2, 0)),
    "tilted": sheared(rotated_affine(SPACING, angle=0), 15),
    "oblique and tilted": sheared(rotated_affine(SPACING, angle=0.4), 8),
    "left-handed and tilted": sheared(rotated_affine(SPACING, angle=0.2, flips=(-1, 1, 1)), 20),
    "hardly tilted": sheared(rotated_affine(SPACING, angle=0.2), 0.01),
}


@pytest.fixture(params=list(GRIDS))
def grid(request) -> np.ndarray:
    return GRIDS[request.param]


def written(folder: Path, affine: np.ndarray) -> dict[str, Path]:
    mask = np.zeros(SHAPE, np.uint8)
    mask[10:14, 20:22, 6:9] = 1
    mask[-1, -1, -1] = 1
    finding = Finding(
        case="a",
        bundle=BundleId(name="b", version="1", weights_sha256="ab"),
        score=0.5,
        p_value=0.5,
        abnormal=True,
        lesions=[],
        thresholds=Thresholds(voxel=0.5, image=0.5, alpha=0.1, min_lesion_ml=0.1),
        calibration_cases=9,
    )
    return write_examination(Examination(finding=finding, mask=mask, score=mask / 2), affine, folder)


def corners(affine: np.ndarray) -> np.ndarray:
    places = np.stack(np.meshgrid(*[(0, size - 1) for size in SHAPE], indexing="ij"), axis=-1).reshape(-1, 3)
    return places @ affine[:3, :3].T + affine[:3, 3]


@pytest.mark.parametrize("kind", ["mask", "score"])
def test_every_reader_puts_it_at_the_same_place_or_refuses_it(tmp_path, grid, kind):
    path = written(tmp_path, grid)[kind]
    np.testing.assert_allclose(corners(nib.load(path).affine), corners(grid), atol=0.1)
    volume = read_volume(path)
    np.testing.assert_allclose(corners(volume.affine), corners(grid), atol=0.1)
    assert volume.array[-1, -1, -1] > 0
    steps = grid[:3, :3] / np.linalg.norm(grid[:3, :3], axis=0)
    if np.abs(steps.T @ steps - np.eye(3)).max() > 1e-3:  # ITK knows no shear
        with pytest.raises(RuntimeError, match="orthonormal"):
            sitk.ReadImage(str(path))
        return
    image = sitk.ReadImage(str(path))
    places = [image.TransformIndexToPhysicalPoint([i, j, k]) for i in (0, 39) for j in (0, 47) for k in (0, 11)]
    np.testing.assert_allclose(np.array(places) @ _LPS[:3, :3], corners(grid), atol=0.1)


def test_a_grid_at_right_angles_has_both_forms_and_a_sheared_one_has_no_qform(tmp_path):
    codes = {}
    for name, affine in GRIDS.items():
        header = nib.load(written(tmp_path, affine)["mask"]).header
        codes[name] = (int(header["qform_code"]), int(header["sform_code"]))
    tilted = {name for name in GRIDS if "tilted" in name and "hardly" not in name}
    assert codes == {name: (0, 1) if name in tilted else (1, 1) for name in GRIDS}
