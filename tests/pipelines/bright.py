"""A detector that calls bright voxels abnormal, and volumes to show it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from anomaly.finding import BundleId
from anomaly.scoring.assess import Examination, Subject, assess
from anomaly.scoring.calibration import Calibration
from data_prep import Volume

Array = np.ndarray
AFFINE = np.array([[-2.0, 0, 0, 40], [0, 2.0, 0, -50], [0, 0, 6.0, -30], [0, 0, 0, 1]])


class BrightIsAbnormal:
    """Scores are intensities over 200; the rest is what a real detector does."""

    calibration = Calibration(
        weights_sha256="ab" * 32,
        voxel_threshold=0.5,
        voxel_false_positive_rate=0.005,
        image_scores=[0.3, 0.32, 0.35, 0.36, 0.37, 0.38, 0.39, 0.4, 0.41],
        alpha=0.1,
        min_lesion_ml=0.3,
        cases=[f"healthy-{number}" for number in range(9)],
    )

    def examine(self, volume: Volume, *, case: str = "") -> Examination:
        """Threshold the image itself."""
        if "broken" in case:
            msg = f"no kernel for {volume.source}"
            raise RuntimeError(msg)
        score = np.clip(volume.array / 200, 0, 1).astype(np.float32)
        return assess(
            score,
            volume.affine,
            score=float(score.max()),
            subject=Subject(case=case, input_hash="cd" * 32),
            calibration=self.calibration,
            bundle=BundleId(name="bright", version="0.1.0", weights_sha256=self.calibration.weights_sha256),
            timings={"network": 0.01},
            twin=np.minimum(volume.array, 80).astype(np.float32),
        )


def head(*, lesion: bool = False, shape: tuple[int, int, int] = (40, 48, 10)) -> Array:
    """An ellipsoid of intensity 60 in air, `(i, j, k)`, with a block of 160 (9.6 ml at `AFFINE`) inside."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij"))
    volume = np.where((grid**2).sum(axis=0) < 0.9, 60.0, 0.0).astype(np.float32)
    if lesion:
        volume[10:20, 20:28, 4:9] = 160
    return volume


def write_nifti(path: Path, array: Array, affine: Array = AFFINE) -> Path:
    """Write an array as NIfTI; gives the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)
    return path
