"""NIfTI files: read, and refused with a reason where they are no usable volume."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.errors import InputError
from data_prep.volume import Volume, check_affine, check_size, check_values

SUFFIXES = (".nii", ".nii.gz")


def is_nifti(path: str | Path) -> bool:
    """Does the name say NIfTI?"""
    return str(path).lower().endswith(SUFFIXES)


def read_nifti(path: str | Path, *, allow_constant: bool = False) -> Volume:
    """Read a 3-D NIfTI file; further axes of length 1 are dropped.

    Args:
        path: `.nii` or `.nii.gz`.
        allow_constant: accept a volume with one value throughout, as the label of a healthy case is.

    Returns:
        The volume: float32 where the file scales integers, else the stored type.

    Raises:
        InputError: MISSING_FILE, NOT_AN_IMAGE, TRUNCATED, TOO_LARGE, WRONG_DIMENSION, NO_GEOMETRY, NAN or EMPTY.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, "MISSING_FILE", "there is no such file")
    image = _open(path)
    _check_header(path, image)
    array = _values(path, image)
    check_values(path, array, allow_constant=allow_constant)
    affine = np.array(image.affine, dtype=np.float64)
    return Volume(array, affine, str(path), None, hashlib.sha256(path.read_bytes()).hexdigest())


def _open(path: Path) -> Any:
    """The nibabel image, its voxels not read yet."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image = nib.load(path)
    except (EOFError, zlib.error) as error:
        raise InputError(path, "TRUNCATED", f"the file ends too early or is damaged ({error})") from error
    except (ImageFileError, HeaderDataError, OSError, ValueError, OverflowError) as error:
        raise InputError(path, "NOT_AN_IMAGE", f"not a NIfTI image ({error})") from error
    if not isinstance(image, nib.Nifti1Pair):
        raise InputError(path, "NOT_AN_IMAGE", f"not a NIfTI image but {type(image).__name__}")
    return image


def _check_header(path: Path, image: Any) -> None:
    shape = tuple(int(size) for size in image.shape)
    if image.get_data_dtype().kind not in "iuf":
        reason = f"intensities are needed, one number a voxel; these are {image.get_data_dtype()} (colour or complex)"
        raise InputError(path, "WRONG_DIMENSION", reason)
    if len(shape) < 3 or min(shape[:3]) < 2 or any(size != 1 for size in shape[3:]):
        raise InputError(path, "WRONG_DIMENSION", f"one 3-D volume is needed, this has the shape {shape}")
    check_size(path, shape)
    check_affine(path, np.asarray(image.affine, dtype=np.float64))


def _values(path: Path, image: Any) -> np.ndarray:
    """The voxels `(i, j, k)` in the machine's byte order."""
    try:
        array = np.asanyarray(image.dataobj)
    except (EOFError, zlib.error, OSError, ValueError) as error:
        raise InputError(path, "TRUNCATED", f"the file ends too early or is damaged ({error})") from error
    array = array.reshape(array.shape[:3])
    scaled = array.dtype.kind == "f" and image.get_data_dtype().kind in "iu"
    return array.astype(np.float32 if scaled else array.dtype.newbyteorder("="), copy=False)
