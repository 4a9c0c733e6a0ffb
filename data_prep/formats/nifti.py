"""NIfTI files: read, and refused with a reason where they are no usable volume."""

from __future__ import annotations

import gzip
import hashlib
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.source import UNREADABLE, Source, reason
from data_prep.volume import Volume, check_affine, check_size, check_values

SUFFIXES = (".nii", ".nii.gz")
_TALAIRACH = 3  # sform codes from here on name a template's space, in which a qform need not agree


def is_nifti(path: str | Path) -> bool:
    """Does the name say NIfTI?"""
    return str(path).lower().endswith(SUFFIXES)


def nifti_header(source: Source | str | Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape `(i, j, k)` and affine of a file, without its voxels.

    Raises:
        InputError: as `read_nifti`, but for what only the voxels tell.
    """
    source = source if isinstance(source, Source) else Source(Path(source))
    image = _open(source)
    return tuple(int(size) for size in image.shape[:3]), np.array(image.affine, dtype=np.float64)


def read_nifti(source: Source | str | Path, *, allow_constant: bool = False) -> Volume:
    """Read a 3-D NIfTI file; further axes of length 1 are dropped.

    Args:
        source: `.nii` or `.nii.gz`, on disk or in an archive.
        allow_constant: accept a volume with one value throughout, as the label of a healthy case is.

    Returns:
        The volume: float32 where the file scales integers, else the stored type.

    Raises:
        InputError: MISSING_FILE, UNREADABLE, NOT_AN_IMAGE, TRUNCATED, TOO_LARGE, WRONG_DIMENSION, NOT_GREYSCALE,
            NO_GEOMETRY, SINGULAR_AFFINE, AFFINE_CONFLICT, BAD_SPACING, NAN or EMPTY.
    """
    source = source if isinstance(source, Source) else Source(Path(source))
    image = _open(source)
    array = _values(source, image)
    check_values(str(source), array, allow_constant=allow_constant)
    affine = np.array(image.affine, dtype=np.float64)
    with source.open() as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    return Volume(array, affine, str(source), None, digest)


def _open(source: Source) -> Any:
    """The nibabel image, checked, its voxels not read yet."""
    import nibabel as nib

    if source.member is None and not source.path.is_file():
        raise InputError(str(source), "MISSING_FILE", "there is no such file")
    try:
        with _quiet():
            if source.member is None:
                image: Any = nib.load(source.path)
            else:
                image = nib.Nifti1Image.from_stream(_unpacked(source, source.open()))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(str(source), "TRUNCATED", f"{source.name} ends too early or is damaged ({error})") from error
    except OSError as error:
        if error.errno is None:  # nibabel's own
            raise InputError(str(source), "NOT_AN_IMAGE", f"{source.name} is not a NIfTI image ({error})") from error
        raise InputError(str(source), "UNREADABLE", f"{source.name} cannot be opened ({reason(error)})") from error
    except Exception as error:  # nibabel raises many types, among them its own and ValueError
        raise InputError(str(source), "NOT_AN_IMAGE", f"{source.name} is not a NIfTI image ({error})") from error
    if not isinstance(image, nib.Nifti1Pair):
        kind = type(image).__name__
        raise InputError(str(source), "NOT_AN_IMAGE", f"{source.name} is not a NIfTI image but {kind}")
    _check_header(source, image)
    return image


@contextmanager
def _quiet() -> Iterator[None]:
    """Without nibabel's remarks on headers that it mends: what matters of them, `_check_header` raises."""
    logger = logging.getLogger("nibabel.global")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _unpacked(source: Source, stream: BinaryIO) -> BinaryIO:
    """What a stream of the file holds when it is no longer compressed."""
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if source.name.lower().endswith(".gz") else stream


def _check_header(source: Source, image: Any) -> None:
    place, name = str(source), source.name
    shape = tuple(int(size) for size in image.shape)
    kind = image.get_data_dtype()
    if kind.kind not in "iuf":
        raise InputError(
            place, "NOT_GREYSCALE", f"{name} holds {kind} (colour or complex), one number a voxel is needed"
        )
    if len(shape) < 3 or min(shape[:3]) < 2 or any(size != 1 for size in shape[3:]):
        raise InputError(place, "WRONG_DIMENSION", f"{name} has the shape {shape}, one 3-D volume is needed")
    check_size(place, shape)
    _check_placed(source, image.header)
    check_affine(place, np.asarray(image.affine, dtype=np.float64))


def _check_placed(source: Source, header: Any) -> None:
    """Raise where nothing places the image, or qform and sform place it in two ways."""
    qform, sform = int(header["qform_code"]), int(header["sform_code"])
    if qform <= 0 and sform <= 0:
        reason = f"{source.name} does not say where it lies (neither qform nor sform)"
        raise InputError(str(source), "NO_GEOMETRY", reason)
    if sform <= 0:
        _check_sizes(source, header)
    if qform <= 0 or sform <= 0:
        return
    try:
        one, other = header.get_qform(), header.get_sform()
    except Exception as error:
        raise InputError(str(source), "AFFINE_CONFLICT", f"the qform of {source.name} is no rotation") from error
    _check_agree(source, header, np.asarray(one), np.asarray(other), template=sform >= _TALAIRACH)


def _check_sizes(source: Source, header: Any) -> None:
    """Raise where a qform has no voxel size of its own: nibabel puts 1 mm in the place of 0, and drops signs."""
    with source.open() as stream:
        sizes = type(header).from_fileobj(_unpacked(source, stream), check=False)["pixdim"][1:4]
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        text = " x ".join(f"{size:g}" for size in sizes)
        raise InputError(str(source), "BAD_SPACING", f"{source.name} has a voxel size of {text} mm")


def _check_agree(source: Source, header: Any, qform: np.ndarray, sform: np.ndarray, *, template: bool) -> None:
    if not np.isfinite(sform).all() or abs(np.linalg.det(sform[:3, :3])) < 1e-12:
        return  # told by check_affine
    if np.linalg.det(qform[:3, :3]) * np.linalg.det(sform[:3, :3]) < 0:
        raise InputError(str(source), "AFFINE_CONFLICT", f"qform and sform of {source.name} are mirror images")
    if template:
        return
    shape = np.array(header.get_data_shape()[:3])
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape], indexing="ij")).reshape(3, -1)
    apart = np.linalg.norm((sform - qform)[:3, :3] @ corners + (sform - qform)[:3, 3:], axis=0).max()
    if apart > np.linalg.norm(sform[:3, :3], axis=0).max():
        reason = f"qform and sform of {source.name} put its corners up to {apart:.1f} mm apart"
        raise InputError(str(source), "AFFINE_CONFLICT", reason)


def _values(source: Source, image: Any) -> np.ndarray:
    """The voxels `(i, j, k)` in the machine's byte order."""
    try:
        array = np.asanyarray(image.dataobj)
    except (*UNREADABLE, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(str(source), "UNREADABLE", f"{source.name} cannot be read ({reason(error)})") from error
        why = f"{source.name} ends too early or is damaged ({reason(error)})"
        raise InputError(str(source), "TRUNCATED", why) from error
    array = array.reshape(array.shape[:3])
    scaled = array.dtype.kind == "f" and image.get_data_dtype().kind in "iu"
    return array.astype(np.float32 if scaled else array.dtype.newbyteorder("="), copy=False)
