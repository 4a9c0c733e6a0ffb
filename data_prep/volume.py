"""`Volume`: an array with its place in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
