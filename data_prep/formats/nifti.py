"""NIfTI files: read, and refused with a reason where they are no usable volume."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.content import Content
from data_prep.formats.layout import LPS, Layout, check_voxels
from data_prep.formats.source import Source
from data_prep.formats.units import in_mm
from data_prep.volume import NO_ORIENTATION, NO_SIZE, is_flat

_TALAIRACH = 3  # sform codes from here on name a template's space, in which a qform need not agree
_SIZES = (348, 540)  # bytes of a NIfTI-1 and of a NIfTI-2 header, which begin with this number
_UNITS = {0: "", 1: "m", 2: "mm", 3: "um"}  # the lowest three bits of `xyzt_units`


def nifti_layout(content: Content) -> Layout:
    """What a `.nii` file says of its voxels; see nifti.nimh.nih.gov/nifti-1 and nifti-2.

    Raises:
        InputError: as of `layout_of`.
    """
    block = header_block(content)
    if b"ni" in block[4:8] + block[344:348]:
        raise not_nifti(content, "its voxels are in another file")
    layout = layout_of(content, block, content.source)
    return replace(layout, offset=layout.offset or len(block) + 4)


def header_block(content: Content) -> bytes:
    """The bytes of a NIfTI or Analyze header; empty where it is none."""
    start = content.first(4)
    size = next((size for size in _SIZES if size in (int.from_bytes(start, "little"), int.from_bytes(start, "big"))), 0)
    block = content.first(size)
    return block if len(block) == size else b""


def layout_of(content: Content, block: bytes, data: Source) -> Layout:
    """What a header says of the voxels in `data`.

    Raises:
        InputError: NOT_AN_IMAGE, NO_GEOMETRY, BAD_SPACING, BAD_HEADER or AFFINE_CONFLICT.
    """
    import nibabel as nib

    if not block:
        raise not_nifti(content, "no header of 348 or 540 bytes")
    kind: Any = nib.Nifti1Header if len(block) == _SIZES[0] else nib.Nifti2Header
    source = content.source
    try:
        with _quiet():
            header, raw = kind(block), kind(block, check=False)
            dtype, shape = header.get_data_dtype(), tuple(int(size) for size in header.get_data_shape())
            offset, (slope, intercept) = int(header.get_data_offset()), header.get_slope_inter()
    except Exception as error:  # nibabel raises many types, among them its own and ValueError
        raise not_nifti(content, str(error)) from error
    check_voxels(source, dtype, shape)
    if is_flat(shape) and not _is_placed(header):
        affine, flags = _picture(source, header, raw)
    else:
        affine, flags = _placed(source, header, raw, flat=is_flat(shape)), ()
    return Layout(
        dtype=dtype,
        shape=shape,
        affine=affine,
        data=data,
        offset=offset,
        slope=slope,
        intercept=intercept,
        flags=flags,
    )


def _placed(source: Source, header: Any, raw: Any, *, flat: bool) -> np.ndarray:
    """The affine, voxel to RAS+ mm, of an image that says where it lies."""
    _check_placed(source, header, raw)
    try:
        best = np.array(header.get_best_affine(), np.float64)
    except ValueError as error:  # of numbers that no rotation has
        raise InputError(str(source), "NO_GEOMETRY", f"the qform of {source.name} is no rotation") from error
    if flat and not best[:3, 2].any():  # a slice need not say how thick it is
        best[:3, 2] = np.cross(*(best[:3, :2] / np.linalg.norm(best[:3, :2], axis=0)).T)
    return in_mm(source, best, [_unit(source, header)] * 3)


def not_nifti(content: Content, why: object) -> InputError:
    """What is said of a file that only its name makes an image."""
    name = content.source.name
    return InputError(str(content.source), "NOT_AN_IMAGE", f"{name} is not a NIfTI image ({why})")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without nibabel's remarks on headers that it mends: what matters of them, this module raises."""
    logger = logging.getLogger("nibabel.global")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _unit(source: Source, header: Any) -> str:
    code = int(header["xyzt_units"]) & 7
    if code not in _UNITS:
        raise InputError(str(source), "BAD_HEADER", f"{source.name} gives lengths in the unit {code}, which is none")
    return _UNITS[code]


def _is_placed(header: Any) -> bool:
    return bool(int(header["qform_code"]) > 0 or int(header["sform_code"]) > 0)


def _picture(source: Source, header: Any, raw: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Affine and flags of one slice without a place: as a picture lies, and as large as `pixdim` says in a unit."""
    sizes = np.array(raw["pixdim"][1:3], dtype=np.float64)
    unit = _unit(source, header)
    known = bool(unit) and np.isfinite(sizes).all() and (sizes > 0).all()
    if not known:
        return LPS.copy(), (NO_ORIENTATION, NO_SIZE)
    return in_mm(source, LPS @ np.diag([*sizes, 1.0, 1.0]), [unit, unit, ""]), (NO_ORIENTATION,)


def _check_placed(source: Source, header: Any, raw: Any) -> None:
    """Raise where nothing places the image, or qform and sform place it in two ways."""
    qform, sform = int(header["qform_code"]), int(header["sform_code"])
    if not _is_placed(header):
        reason = f"{source.name} does not say where it lies (neither qform nor sform)"
        raise InputError(str(source), "NO_GEOMETRY", reason)
    if sform <= 0:
        _check_sizes(source, raw)
    if qform <= 0 or sform <= 0:
        return
    try:
        one, other = header.get_qform(), header.get_sform()
    except Exception as error:
        raise InputError(str(source), "AFFINE_CONFLICT", f"the qform of {source.name} is no rotation") from error
    _check_agree(source, header, np.asarray(one), np.asarray(other), template=sform >= _TALAIRACH)


def _check_sizes(source: Source, raw: Any) -> None:
    """Raise where a qform has no voxel size of its own: nibabel puts 1 mm in the place of 0, and drops signs."""
    sizes = raw["pixdim"][1 : 3 if is_flat(raw.get_data_shape()) else 4]
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        text = " x ".join(f"{size:g}" for size in sizes)
        raise InputError(str(source), "BAD_SPACING", f"{source.name} has a voxel size of {text} mm")


def _check_agree(source: Source, header: Any, qform: np.ndarray, sform: np.ndarray, *, template: bool) -> None:
    if not np.isfinite(sform).all() or abs(np.linalg.det(sform[:3, :3])) < 1e-12:
        return  # check_affine says so
    if np.linalg.det(qform[:3, :3]) * np.linalg.det(sform[:3, :3]) < 0:
        raise InputError(str(source), "AFFINE_CONFLICT", f"qform and sform of {source.name} are mirror images")
    if template:
        return
    shape = np.array((*header.get_data_shape(), 1)[:3])
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape], indexing="ij")).reshape(3, -1)
    apart = np.linalg.norm((sform - qform)[:3, :3] @ corners + (sform - qform)[:3, 3:], axis=0).max()
    if apart > np.linalg.norm(sform[:3, :3], axis=0).max():
        reason = f"qform and sform of {source.name} put its corners up to {apart:.1f} mm apart"
        raise InputError(str(source), "AFFINE_CONFLICT", reason)
