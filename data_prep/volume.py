"""`Volume`: an array with its place in the world, and what makes one unusable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from data_prep.errors import InputError

_SPACING_MM = (0.05, 50.0)  # outside these no scanner's voxel lies
_MIN_INDEPENDENCE = 0.05  # volume of the cell spanned by the three unit axes; 1 is a right-angled one
_MAX_VOXELS = 2**30  # 4 GiB as float32; a head CT of 0.25 mm has a tenth of it


@dataclass(frozen=True, eq=False)
class Volume:
    """One volume as its scanner made it.

    Args:
        array: intensities `(i, j, k)`.
        affine: 4 x 4 float64, voxel indices to RAS+ millimetres.
        source: file or folder it came from.
        series_uid: SeriesInstanceUID of a DICOM series.
        input_hash: SHA-256 of the content, whatever the file names.
    """

    array: np.ndarray
    affine: np.ndarray
    source: str = ""
    series_uid: str | None = None
    input_hash: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return self.array.shape

    @property
    def spacing(self) -> tuple[float, ...]:
        """Millimetres between voxels along each axis."""
        return tuple(float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))


def check_size(path: str | Path, shape: Sequence[int]) -> None:
    """Raise TOO_LARGE for a shape beyond any scanner's, before memory is asked for it."""
    if prod(shape) > _MAX_VOXELS:
        raise InputError(path, "TOO_LARGE", f"the header claims {tuple(shape)} voxels, more than is read")


def check_affine(path: str | Path, affine: np.ndarray) -> None:
    """Raise NO_GEOMETRY unless `affine`, 4 x 4, places voxels of a sensible size in the world."""
    if not np.isfinite(affine).all():
        raise InputError(path, "NO_GEOMETRY", "the affine holds values that are no numbers")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if (spacing < _SPACING_MM[0]).any() or (spacing > _SPACING_MM[1]).any():
        raise InputError(path, "NO_GEOMETRY", f"voxel size {np.round(spacing, 4).tolist()} mm makes no sense")
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < _MIN_INDEPENDENCE:
        raise InputError(path, "NO_GEOMETRY", "the axes of the image are not independent (singular affine)")


def check_values(path: str | Path, array: np.ndarray, *, allow_constant: bool = False) -> None:
    """Raise NAN or EMPTY unless `array` holds finite and, but for `allow_constant`, varying intensities."""
    if bad := int(array.size - np.count_nonzero(np.isfinite(array))):
        raise InputError(path, "NAN", f"{bad} voxels are not numbers (NaN or infinite)")
    if not allow_constant and array.min() == array.max():
        raise InputError(path, "EMPTY", f"the volume is empty: every voxel is {array.flat[0]}")
