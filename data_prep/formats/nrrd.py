"""NRRD files: read, and refused with a reason where they are no usable volume."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.content import Content, Packing
from data_prep.formats.detached import data_beside
from data_prep.formats.layout import Layout, check_voxels
from data_prep.formats.source import Source
from data_prep.formats.units import in_mm

_HEADER_BYTES = 2**20
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_MICRO = re.compile("\N{MICRO SIGN}|\N{GREEK SMALL LETTER MU}".encode() + rb"|\xb5")  # pynrrd drops what is not ASCII
_TO_RAS = {
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
    "left-posterior-superior": (-1.0, -1.0, 1.0),
    "lps": (-1.0, -1.0, 1.0),
}
_SPATIAL_KINDS = {"domain", "space", "none", "???", ""}
_PACKINGS: dict[str, Packing] = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}


def nrrd_layout(content: Content) -> Layout:
    """What a `.nrrd` or `.nhdr` file says of its voxels; see teem.sourceforge.net/nrrd/format.html.

    Raises:
        InputError: NOT_AN_IMAGE, NOT_GREYSCALE, WRONG_DIMENSION, NO_GEOMETRY, BAD_HEADER, DECODE_FAILED; UNREADABLE
            where it names several data files, or one elsewhere; MISSING_FILE.
    """
    source = content.source
    header, end = _header(content)
    dtype = _dtype(source, header)
    axes = _axes(source, header)
    shape = tuple(header["sizes"][axis] for axis in axes)
    check_voxels(source, dtype, shape)
    encoding = str(header.get("encoding", "")).lower()
    if encoding not in _PACKINGS:
        raise InputError(str(source), "DECODE_FAILED", f"the encoding {encoding!r} of {source.name} is not supported")
    name = header.get("data file") or header.get("datafile")
    data = data_beside(source, str(name)) if name else source
    return Layout(
        dtype=dtype,
        shape=shape,
        affine=_affine(source, header, axes),
        data=data,
        offset=_offset(source, header, 0 if name else end, packed=_PACKINGS[encoding] != "raw"),
        packing=_PACKINGS[encoding],
    )


def _header(content: Content) -> tuple[dict[str, Any], int]:
    """The parsed header, and the byte at which it ends."""
    import nrrd

    start, end = b"", None
    for count in (2**12, 2**16, _HEADER_BYTES):
        start = content.first(count)
        end = _BLANK_LINE.search(start)
        if end is not None or len(start) < count:
            break
    start = start[: end.end()] if end is not None else start
    try:
        header = dict(nrrd.read_header(io.BytesIO(_MICRO.sub(b"u", start))))
        header["sizes"] = [int(size) for size in header["sizes"]]
    except Exception as error:  # pynrrd raises many types
        source = content.source
        why = f"{source.name} is not a NRRD image ({type(error).__name__})"
        raise InputError(str(source), "NOT_AN_IMAGE", why) from error
    return header, len(start)


def _axes(source: Source, header: dict[str, Any]) -> list[int]:
    """The three axes that lie in the world; another one is passed over where it has one element."""
    sizes = header["sizes"]
    kinds = [str(kind).lower() for kind in header.get("kinds", ())] or [""] * len(sizes)
    axes = list(range(len(sizes)))
    if len(sizes) > 3 and len(kinds) == len(sizes):
        spare = [axis for axis in axes if sizes[axis] == 1 and (kinds[axis] not in _SPATIAL_KINDS or axis > 2)]
        axes = [axis for axis in axes if axis not in spare[-(len(sizes) - 3) :]]
    if len(axes) != 3 or any(kinds[axis] not in _SPATIAL_KINDS for axis in axes if axis < len(kinds)):
        said = ", ".join(kind for kind in kinds if kind)
        why = f"{source.name} has the shape {tuple(sizes)}{f' of {said}' if said else ''}, one 3-D volume is needed"
        colour = any("color" in kind for kind in kinds)
        raise InputError(str(source), "NOT_GREYSCALE" if colour else "WRONG_DIMENSION", why)
    return axes


def _dtype(source: Source, header: dict[str, Any]) -> np.dtype[Any]:
    name = str(header.get("type", "")).lower()
    code = next((code for code, names in _TYPES.items() if name in names), None)
    if code is None:
        raise InputError(str(source), "NOT_GREYSCALE", f"{source.name} holds {name!r}, one number a voxel is needed")
    order = str(header.get("endian", "little")).lower()
    return np.dtype(code).newbyteorder(">" if order == "big" else "<")


def _affine(source: Source, header: dict[str, Any], axes: Sequence[int]) -> np.ndarray:
    """Voxel indices to RAS+ mm."""
    signs = _TO_RAS.get(str(header.get("space", "")).lower())
    directions, origin = header.get("space directions"), header.get("space origin")
    if signs is None or directions is None or origin is None:
        why = f"{source.name} does not say where it lies (space, space directions, space origin)"
        raise InputError(str(source), "NO_GEOMETRY", why)
    try:
        affine = np.eye(4)
        affine[:3, :3] = np.array([directions[axis] for axis in axes], dtype=np.float64).reshape(3, 3).T
        affine[:3, 3] = np.asarray(origin, dtype=np.float64).reshape(3)
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(str(source), "NO_GEOMETRY", f"the directions of {source.name} are no 3 x 3 numbers") from error
    return np.diag([*signs, 1.0]) @ in_mm(source, affine, _units(source, header, axes))


def _units(source: Source, header: dict[str, Any], axes: Sequence[int]) -> list[str]:
    """The unit along each axis of the world; what is said of the voxels' own axes counts where it is one for all."""
    if said := [str(unit) for unit in header.get("space units") or ()]:
        return said
    own = {str(unit) for axis, unit in enumerate(header.get("units") or ()) if axis in axes}
    if len(own) > 1:
        raise InputError(str(source), "BAD_HEADER", f"{source.name} gives lengths in {len(own)} units")
    return [*own, ""][:1] * 3


def _offset(source: Source, header: dict[str, Any], start: int, *, packed: bool) -> int:
    """The byte at which the voxels begin; -1: they are the last ones."""
    lines, skip = (int(header.get(key) or header.get(key.replace(" ", "")) or 0) for key in ("line skip", "byte skip"))
    if lines or skip < -1 or (skip and packed):
        raise InputError(str(source), "DECODE_FAILED", f"{source.name} skips lines or bytes, which is not supported")
    return -1 if skip == -1 else start + skip
