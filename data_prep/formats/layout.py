"""`Layout`: what a header says of its voxels, and the volume that follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.content import Content, Packing
from data_prep.formats.source import Source
from data_prep.volume import Volume, check_affine, check_size, check_values, is_flat

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # from DICOM's and ITK's axes of the world to RAS+, and back
_POINTERS = (b"/annex/objects/", b"version https://git-lfs")  # how a file begins that stands for content elsewhere


def is_pointer(begin: bytes) -> bool:
    """Does a file that begins like this stand for one elsewhere, as those of git-annex and Git LFS do?"""
    return begin.startswith(_POINTERS)


class Header(NamedTuple):
    """What is known of a file before its voxels are read.

    Args:
        shape: `(i, j, k)`.
        affine: 4 x 4 float64, voxel indices to RAS+ mm.
        flags: what is unusual about it.
        files: all that belong to it, the one that was named first.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    flags: tuple[str, ...]
    files: tuple[Source, ...]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a header says of its voxels.

    Args:
        dtype: as they are stored.
        shape: as it is stored; axes of length 1 behind the third are dropped, and two axes are those of one slice.
        affine: of the first three axes, voxel indices to RAS+ mm.
        data: the file that holds them.
        offset: of their first byte in it; negative: they are its last bytes.
        packing: how they are compressed within it.
        slope: values are `slope * stored + intercept`; None: as they are stored.
        intercept: as said.
        flags: of the volume.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    affine: np.ndarray
    data: Source
    offset: int = 0
    packing: Packing = "raw"
    slope: float | None = None
    intercept: float | None = None
    flags: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Bytes of all voxels."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def grid(self) -> tuple[int, ...]:
        """`(i, j, k)`."""
        return (*self.shape, 1)[:3] if len(self.shape) == 2 else self.shape[:3]


Parse = Callable[[Content], Layout]


def read_header(source: Source, parse: Parse) -> Header:
    """What a file's header says, without its voxels.

    Args:
        source: the file.
        parse: from its content to a layout.

    Raises:
        InputError: as of `read_layout`, but for what only the voxels tell.
    """
    with Content(source) as content:
        layout = _parsed(content, parse)
    return Header(layout.grid, layout.affine, layout.flags, _files(source, layout))


def read_layout(source: Source, parse: Parse, *, allow_constant: bool) -> Volume:
    """Read a volume, every file of it once.

    Returns:
        float32 where the file scales integers, else the stored type in the machine's byte order. The hash is that of
        the files as they are stored, in the order in which they are read.

    Raises:
        InputError: MISSING_FILE, UNREADABLE, TRUNCATED, TOO_LARGE, WRONG_DIMENSION, NOT_GREYSCALE, NO_GEOMETRY,
            SINGULAR_AFFINE, BAD_SPACING, NAN or EMPTY; what else `parse` raises.
    """
    with Content(source) as content:
        layout = _parsed(content, parse)
        if layout.data == source:
            stored = _voxels(content, layout)
        content.finish()
    if layout.data != source:
        with Content(layout.data, content.digest, unpack=False) as content:
            stored = _voxels(content, layout)
            content.finish()
    array = _scaled(stored, layout)
    check_values(str(source), array, allow_constant=allow_constant)
    return Volume(array, layout.affine, str(source), None, content.digest.hexdigest(), layout.flags)


def _files(source: Source, layout: Layout) -> tuple[Source, ...]:
    return (source,) if layout.data == source else (source, layout.data)


def _parsed(content: Content, parse: Parse) -> Layout:
    source = content.source
    try:
        layout = parse(content)
    except InputError as error:
        if error.code == "NOT_AN_IMAGE" and is_pointer(content.first(64)):
            why = f"{source.name} stands for a file that is not on this disk; fetch it (datalad get, git lfs pull)"
            raise InputError(str(source), "MISSING_FILE", why) from error
        raise
    check_affine(str(source), layout.affine, flat=is_flat(layout.grid))
    return layout


def check_voxels(source: Source, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Raise NOT_GREYSCALE, WRONG_DIMENSION or TOO_LARGE unless a file holds one volume, or one slice, of numbers."""
    place, name = str(source), source.name
    if dtype.kind not in "iuf":
        why = f"{name} holds {dtype} (colour or complex), one number a voxel is needed"
        raise InputError(place, "NOT_GREYSCALE", why)
    if len(shape) < 2 or min(shape[:2]) < 2 or min(shape) < 1 or any(size != 1 for size in shape[3:]):
        raise InputError(place, "WRONG_DIMENSION", f"{name} has the shape {shape}, one volume or one slice is needed")
    check_size(place, shape)


def _voxels(content: Content, layout: Layout) -> np.ndarray:
    """The voxels `(i, j, k)` as they are stored."""
    offset = layout.offset if layout.offset >= 0 else layout.data.size - layout.count
    if offset < 0:
        name = layout.data.name
        raise InputError(str(layout.data), "TRUNCATED", f"{name} is shorter than its {layout.count} bytes of voxels")
    taken = content.take(offset, layout.count, layout.packing)
    return taken.view(layout.dtype).reshape(layout.grid, order="F")


def _scaled(stored: np.ndarray, layout: Layout) -> np.ndarray:
    array = stored
    if layout.slope is not None:
        from nibabel.volumeutils import apply_read_scaling

        array = apply_read_scaling(stored, np.float64(layout.slope), np.float64(layout.intercept or 0.0))
    scaled = array.dtype.kind == "f" and stored.dtype.kind in "iu"
    return array.astype(np.float32 if scaled else array.dtype.newbyteorder("="), copy=False)
