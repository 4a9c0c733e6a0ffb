"""Small volumes of a case, for the viewer in a report: image, healthy twin and score map on one coarser grid."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.machine.files import write_whole

if TYPE_CHECKING:
    from anomaly import Examination
    from data_prep import Volume

Array = np.ndarray
_MOST = 400_000  # voxels


@dataclass(frozen=True, kw_only=True)
class Volumes:
    """The volumes of a case as gzipped NIfTI, one byte a voxel.

    Args:
        image: the scan, 0 to 1 in the window of its picture.
        score: the score map.
        twin: in the window of the image; None: the method draws none, or it is not at hand.
    """

    image: bytes
    score: bytes
    twin: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.image) + len(self.score) + len(self.twin or b"")


def make_volumes(volume: Volume, exam: Examination) -> Volumes:
    """Average neighbouring voxels until there are at most 400,000; the score's highest is kept instead.

    Args:
        volume: the image.
        exam: on the same grid.
    """
    from skimage.measure import block_reduce

    factors = _factors(volume.array.shape, volume.spacing)
    affine = _coarser(volume.affine, factors)

    def averaged(array: Array) -> Array:
        return block_reduce(array.astype(np.float32), factors, np.mean, cval=float(array.min()))

    image = averaged(volume.array)
    low, high = exam.window or np.percentile(image, (0.5, 99.7)).tolist()
    width = max(high - low, 1e-6)
    return Volumes(
        image=_nifti((image - low) / width, affine),
        score=_nifti(block_reduce(exam.score, factors, np.max), affine),
        twin=None if exam.twin is None else _nifti((averaged(exam.twin) - low) / width, affine),
    )


def write_volumes(volume: Volume, exam: Examination, folder: Path) -> dict[str, str]:
    """Write `<case>_view.nii.gz`, `<case>_view_score.nii.gz` and, where there is a twin, `<case>_view_twin.nii.gz`.

    Args:
        volume: the image.
        exam: on the same grid.
        folder: that is there.

    Returns:
        File names under `view`, `view_score` and `view_twin`.
    """
    volumes, names = make_volumes(volume, exam), {}
    for kind, content in (("view", volumes.image), ("view_score", volumes.score), ("view_twin", volumes.twin)):
        if content is not None:
            names[kind] = f"{exam.finding.case}_{kind}.nii.gz"
            write_whole(folder / names[kind], content)
    return names


def _nifti(array: Array, affine: Array) -> bytes:
    """`array`, 0 to 1, in 255 steps; the same bytes for the same voxels."""
    import nibabel as nib

    made = nib.Nifti1Image(np.rint(255 * np.clip(array, 0, 1)).astype(np.uint8), affine)
    made.header.set_xyzt_units("mm")
    made.header.set_slope_inter(1 / 255, 0)
    return gzip.compress(made.to_bytes(), mtime=0)


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
