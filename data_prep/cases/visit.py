"""`read_visit`: several sequences of one visit as one volume, on the grid of the first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_prep.errors import InputError
from data_prep.volume import Volume

Array = np.ndarray
MISSING = "n/a"
"""Stands for a sequence that is not there, in the items of a MONAI dataset; in a datalist it is null."""
_SAME_MM = 0.05  # corners that lie nearer to each other are one
_LEAST_SHARED = 0.5  # of the first sequence's voxels, that another one must cover


def read_visit(read: Sequence[Callable[[], Volume] | None]) -> Volume:
    """Read the sequences of one visit.

    Args:
        read: gives a sequence's volume; None: it is missing.

    Returns:
        A volume with `sequences` on the grid of the first that is there. Others are resampled linearly where their
        grid differs.

    Raises:
        InputError: of a sequence that cannot be read; MIXED_GRID where two do not lie in one place.
    """
    volumes = [None if call is None else call() for call in read]
    first = next(volume for volume in volumes if volume is not None)
    if len(volumes) == 1:
        return first
    placed = [None if volume is None else on_grid(volume, first) for volume in volumes]
    digest = hashlib.sha256("".join(volume.input_hash if volume else MISSING for volume in volumes).encode())
    flags = [flag for volume in volumes if volume for flag in volume.flags]
    flags += [f"missing_{number}" for number, volume in enumerate(volumes) if volume is None]
    moved = any(one is not volume.array for one, volume in zip(placed, volumes, strict=True) if volume is not None)
    return replace(
        first,
        input_hash=digest.hexdigest(),
        flags=tuple(dict.fromkeys([*flags, *(["resampled"] if moved else [])])),
        sequences=tuple(placed),
    )


def on_grid(volume: Volume, like: Volume) -> Array:
    """The voxels of a volume on the grid of another, `(i, j, k)`: its own where the grids are one.

    Raises:
        InputError: MIXED_GRID where it covers less than half of the other.
    """
    if volume.shape == like.shape and _apart(volume, like) <= _SAME_MM:
        return volume.array
    import SimpleITK as sitk  # noqa: N813

    resample = sitk.ResampleImageFilter()
    resample.SetReferenceImage(_image(like.array, like.affine))
    resample.SetInterpolator(sitk.sitkLinear)
    resample.SetNumberOfThreads(1)
    inside = resample.Execute(_image(np.ones(volume.shape, np.float32), volume.affine))
    shared = float((sitk.GetArrayViewFromImage(inside) > 0.5).mean())
    if shared < _LEAST_SHARED:
        one, other = (str(each.source).rpartition("/")[2] for each in (volume, like))
        reason = f"{one} covers {shared:.0%} of {other}: they do not lie in one place of the scanner"
        raise InputError(volume.source, "MIXED_GRID", reason)
    resample.SetDefaultPixelValue(float(volume.array.min()))
    moved: Array = sitk.GetArrayFromImage(resample.Execute(_image(volume.array.astype(np.float32), volume.affine))).T
    return moved


def _apart(volume: Volume, like: Volume) -> float:
    """How far the corners of two volumes of one shape lie apart, mm."""
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in like.shape], indexing="ij")).reshape(3, -1)
    change = np.asarray(volume.affine) - np.asarray(like.affine)
    return float(np.linalg.norm(change[:3, :3] @ corners + change[:3, 3:], axis=0).max())


def _image(array: Array, affine: Array) -> object:
    """A SimpleITK image of `(i, j, k)` in its place, LPS; a sheared grid as its nearest right-angled one."""
    import SimpleITK as sitk  # noqa: N813

    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(np.diag([-1.0, -1.0, 1.0]) @ affine[:3, :3] / spacing)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((left @ right).ravel().tolist())
    image.SetOrigin((np.array([-1.0, -1.0, 1.0]) * affine[:3, 3]).tolist())
    return image


def file_of(image: str | Sequence[str | None]) -> str:
    """The first image that is there of what a datalist or an item has under `image`."""
    if isinstance(image, str | Path):
        return str(image)
    return next(str(one) for one in image if one and one != MISSING)
