"""`Volume`: an array with its place in the world, and what makes one unusable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from data_prep.budget import DEFAULT_BUDGET, Budget
from data_prep.errors import InputError

NO_ORIENTATION = "orientation_unknown"
"""Flag of a picture: nothing says which side of it is left, or how the patient lay."""
NO_SIZE = "pixel_size_unknown"
"""Flag of a picture whose pixels count as 1 mm, as its file does not say how large they are."""
_SPACING_MM = (0.05, 50.0)  # outside these no scanner's voxel lies
_FLAT_MM = 0.0005  # microscopes and optical coherence tomographs see finer
_MIN_INDEPENDENCE = 0.05  # volume of the cell spanned by the three unit axes; 1 is a right-angled one


@dataclass(frozen=True, eq=False, repr=False)
class Volume:
    """One volume as its scanner made it.

    Args:
        array: intensities `(i, j, k)`.
        affine: 4 x 4 float64, voxel indices to RAS+ millimetres.
        source: file or folder it came from.
        series_uid: SeriesInstanceUID of a DICOM series.
        input_hash: SHA-256 of the content, whatever the file names.
        flags: what is unusual about it: `gantry_tilt` (the affine is sheared), `gaps_allowed` and others of
            `Stack`, `orientation_assumed` (the format does not say which side is left), `NO_ORIENTATION`, `NO_SIZE`,
            `missing_NAME` (a sequence of the visit is not there), `resampled` (a sequence lay on another grid).
        sequences: of one visit, each `(i, j, k)` on the grid of `array` or None where it is missing; `array` is the
            first that is not. Empty: `array` is all there is.
    """

    array: np.ndarray
    affine: np.ndarray
    source: str = ""
    series_uid: str | None = None
    input_hash: str = ""
    flags: tuple[str, ...] = ()
    sequences: tuple[np.ndarray | None, ...] = ()

    def __repr__(self) -> str:
        """In one line, without the array."""
        shape, spacing = " x ".join(map(str, self.shape)), " x ".join(f"{length:.3g}" for length in self.spacing)
        more = f", {len(self.sequences)} sequences" if self.sequences else ""
        return f"<Volume {shape} of {spacing} mm, {self.array.dtype}{more}>"

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return self.array.shape

    @property
    def spacing(self) -> tuple[float, ...]:
        """Millimetres between voxels along each axis."""
        return tuple(float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))

    def each(self) -> list[Volume | None]:
        """Every sequence as a volume of its own; None: missing."""
        arrays = self.sequences or (self.array,)
        return [None if array is None else replace(self, array=array, sequences=()) for array in arrays]


def is_flat(shape: Sequence[int]) -> bool:
    """Is this a picture: one slice along the third axis?

    >>> is_flat((192, 160, 1)), is_flat((192, 160, 2))
    (True, False)
    """
    return len(shape) == 2 or shape[2] == 1


def check_size(path: str | Path, shape: Sequence[int], *, budget: Budget = DEFAULT_BUDGET) -> None:
    """Raise TOO_LARGE for a shape beyond any scanner's, before memory is asked for it."""
    if prod(shape) > budget.voxels:
        raise InputError(path, "TOO_LARGE", f"{_name(path)} claims {tuple(shape)} voxels, more than is read")


def check_affine(path: str | Path, affine: np.ndarray, *, flat: bool = False) -> None:
    """Raise unless `affine`, 4 x 4, places voxels of a sensible size in the world.

    Args:
        path: of the file.
        affine: voxel to mm.
        flat: of a picture, whose pixels may be much smaller than a voxel.

    Raises:
        InputError: NO_GEOMETRY, BAD_SPACING or SINGULAR_AFFINE.
    """
    if not np.isfinite(affine).all():
        raise InputError(path, "NO_GEOMETRY", f"the affine of {_name(path)} holds values that are no numbers")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if (spacing > 0).all() and abs(np.linalg.det(affine[:3, :3] / spacing)) >= _MIN_INDEPENDENCE:
        if (spacing < (_FLAT_MM if flat else _SPACING_MM[0])).any() or (spacing > _SPACING_MM[1]).any():
            sizes = np.round(spacing, 4).tolist()
            raise InputError(path, "BAD_SPACING", f"the voxel size of {_name(path)}, {sizes} mm, makes no sense")
        return
    raise InputError(path, "SINGULAR_AFFINE", f"the axes of {_name(path)} are not independent (singular affine)")


def check_values(path: str | Path, array: np.ndarray, *, allow_constant: bool = False) -> None:
    """Raise NAN or EMPTY unless `array` holds finite and, but for `allow_constant`, varying intensities."""
    if array.dtype.kind == "f" and (bad := int(array.size - np.count_nonzero(np.isfinite(array)))):
        raise InputError(path, "NAN", f"{bad} voxels of {_name(path)} are not numbers (NaN or infinite)")
    if not allow_constant and array.min() == array.max():
        raise InputError(path, "EMPTY", f"{_name(path)} is empty: every voxel is {array.flat[0]}")


def _name(path: str | Path) -> str:
    return str(path).rpartition("/")[2]
