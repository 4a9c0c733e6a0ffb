"""Small volumes of a case, for the viewer in a report: image and score map on one coarser grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from anomaly import Examination
    from data_prep import Volume

Array = np.ndarray
_MOST = 500_000  # voxels


def write_views(volume: Volume, exam: Examination, folder: Path) -> dict[str, str]:
    """Write `<case>_view.nii.gz` and `<case>_view_score.nii.gz`, one byte a voxel.

    Neighbouring voxels are averaged until there are at most half a million; the score's highest is kept instead.

    Args:
        volume: the image.
        exam: on the same grid.
        folder: that is there.

    Returns:
        File names under `view` and `view_score`.
    """
    import nibabel as nib
    from skimage.measure import block_reduce

    factors = _factors(volume.array.shape, volume.spacing)
    image = block_reduce(volume.array.astype(np.float32), factors, np.mean, cval=float(volume.array.min()))
    low, high = np.percentile(image, (0.5, 99.7))
    bytes_of = {
        "view": (image - low) / max(high - low, 1e-6),
        "view_score": block_reduce(exam.score, factors, np.max),
    }
    affine, names = _coarser(volume.affine, factors), {}
    for kind, array in bytes_of.items():
        names[kind] = f"{exam.finding.case}_{kind}.nii.gz"
        made = nib.Nifti1Image(np.rint(255 * np.clip(array, 0, 1)).astype(np.uint8), affine)
        made.header.set_xyzt_units("mm")
        made.header.set_slope_inter(1 / 255, 0)
        nib.save(made, folder / names[kind])
    return names


def _factors(shape: tuple[int, ...], spacing: tuple[float, ...]) -> tuple[int, ...]:
    """How many voxels become one along each axis: the axis with the finest ones comes first."""
    factors = [1, 1, 1]
    while np.prod([-(-size // factor) for size, factor in zip(shape, factors, strict=True)]) > _MOST:
        factors[int(np.argmin([length * factor for length, factor in zip(spacing, factors, strict=True)]))] += 1
    return tuple(factors)


def _coarser(affine: Array, factors: tuple[int, ...]) -> Array:
    """The affine of blocks of voxels: a block's centre is the mean of its voxels' centres."""
    coarse = affine.astype(np.float64).copy()
    coarse[:3, :3] = affine[:3, :3] * factors
    coarse[:3, 3] += affine[:3, :3] @ ((np.asarray(factors) - 1) / 2)
    return coarse
