"""The box of voxels that a scan fills, and its place in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
HEAD_CENTRE_MM = (0.0, -8.0, 14.0)  # in MNI space, RAS
# direction of a row, of a column and of the slices, as columns, LPS (DICOM PS3.3 C.7.6.2.1.1)
_PLANES = {
    "axial": np.eye(3),
    "coronal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "sagittal": np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]),
}


@dataclass(frozen=True)
class Grid:
    """A slice stack.

    Args:
        shape: columns, rows, slices.
        spacing_mm: between columns, between rows, between slices.
        plane: "axial", "coronal" or "sagittal".
        tilt_deg: turns about the patient's x, y and z axis, in this order; not all 0 makes an oblique scan.

    Raises:
        ValueError: fewer than 2 voxels along an axis, a spacing not above 0, an unknown plane.
    """

    shape: tuple[int, int, int] = (256, 256, 24)
    spacing_mm: tuple[float, float, float] = (0.9, 0.9, 5.5)
    plane: str = "axial"
    tilt_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 2:
            msg = f"shape must be three numbers of 2 or more, got {self.shape}"
            raise ValueError(msg)
        if len(self.spacing_mm) != 3 or min(self.spacing_mm) <= 0:
            msg = f"spacing_mm must be three numbers above 0, got {self.spacing_mm}"
            raise ValueError(msg)
        if self.plane not in _PLANES:
            msg = f"plane must be one of {', '.join(_PLANES)}, got {self.plane!r}"
            raise ValueError(msg)

    @property
    def affine(self) -> Array:
        """4 x 4 float64, (column, row, slice) to RAS+ mm; the middle of the box is the middle of the head."""
        from scipy.spatial.transform import Rotation

        turn = Rotation.from_euler("xyz", self.tilt_deg, degrees=True).as_matrix()
        affine = np.eye(4)
        affine[:3, :3] = _LPS_TO_RAS @ turn @ _PLANES[self.plane] @ np.diag(self.spacing_mm)
        affine[:3, 3] = HEAD_CENTRE_MM - affine[:3, :3] @ ((np.array(self.shape) - 1) / 2)
        return affine

    @property
    def extent_mm(self) -> tuple[float, ...]:
        """Length of the box along each axis."""
        return tuple(size * spacing for size, spacing in zip(self.shape, self.spacing_mm, strict=True))

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing_mm)) / 1000


AXIAL_THICK = Grid()
SAGITTAL_FINE = Grid(shape=(240, 240, 180), spacing_mm=(1.0, 1.0, 1.0), plane="sagittal")
TINY = Grid(shape=(48, 48, 8), spacing_mm=(4.8, 4.8, 16.0))
