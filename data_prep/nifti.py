"""NIfTI files: read, and refused with a reason where they are no usable volume."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import numpy as np

from data_prep.errors import InputError
from data_prep.volume import Volume

SUFFIXES = (".nii", ".nii.gz")
_SPACING_MM = (0.05, 50.0)  # outside these no scanner's voxel lies


def is_nifti(path: str | Path) -> bool:
    """Does the name say NIfTI?"""
    return str(path).lower().endswith(SUFFIXES)


def read_nifti(path: str | Path) -> Volume:
    """Read a 3-D NIfTI file; a fourth axis of length 1 is dropped.

    Args:
        path: `.nii` or `.nii.gz`.

    Returns:
        The volume: scaled values as float32, or the stored integers where the file has no scaling.

    Raises:
        InputError: MISSING_FILE, NOT_AN_IMAGE, TRUNCATED, WRONG_DIMENSION, NO_GEOMETRY, NAN or EMPTY.
    """
    import nibabel as nib

    path = Path(path)
    if not path.is_file():
        raise InputError(path, "MISSING_FILE", "there is no such file")
    try:
        image = nib.load(path)
        _check_header(path, image)
        array = _values(image)
    except (nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError) as error:
        raise InputError(path, "NOT_AN_IMAGE", f"not a NIfTI image ({error})") from error
    except (EOFError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(path, "TRUNCATED", f"the file ends too early or is damaged ({error})") from error
    check_values(path, array)
    affine = np.asarray(image.affine, dtype=np.float64)  # type: ignore[attr-defined]
    return Volume(array, affine, str(path), None, hashlib.sha256(path.read_bytes()).hexdigest())


def check_affine(path: str | Path, affine: np.ndarray) -> None:
    """Raise NO_GEOMETRY unless `affine`, 4 x 4, places voxels of a sensible size in the world."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or (spacing < _SPACING_MM[0]).any() or (spacing > _SPACING_MM[1]).any():
        raise InputError(path, "NO_GEOMETRY", f"voxel size {np.round(spacing, 4).tolist()} mm makes no sense")
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < 0.05:
        raise InputError(path, "NO_GEOMETRY", "the axes of the image are not independent (singular affine)")


def check_values(path: str | Path, array: np.ndarray) -> None:
    """Raise NAN or EMPTY unless `array` holds finite, varying intensities."""
    if not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise InputError(path, "NAN", f"{bad} voxels are not numbers (NaN or infinite)")
    if array.min() == array.max():
        raise InputError(path, "EMPTY", f"the volume is empty: every voxel is {array.flat[0]}")


def _check_header(path: Path, image: object) -> None:
    shape = image.shape  # type: ignore[attr-defined]
    if image.get_data_dtype().names is not None:  # type: ignore[attr-defined]
        raise InputError(path, "WRONG_DIMENSION", "a colour picture, not a volume of intensities")
    if len(shape) < 3 or min(shape[:3]) < 2 or any(size != 1 for size in shape[3:]):
        raise InputError(path, "WRONG_DIMENSION", f"one 3-D volume is needed, this has the shape {tuple(shape)}")
    check_affine(path, np.asarray(image.affine, dtype=np.float64))  # type: ignore[attr-defined]


def _values(image: object) -> np.ndarray:
    """The voxels `(i, j, k)`."""
    array = np.asanyarray(image.dataobj)  # type: ignore[attr-defined]
    array = array.reshape(array.shape[:3])
    return array.astype(np.float32) if array.dtype.kind not in "iu" else array
