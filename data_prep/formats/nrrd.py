"""NRRD files: read, and refused with a reason where they are no usable volume."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.source import UNREADABLE, Source, reason
from data_prep.volume import Volume, check_affine, check_size, check_values

SUFFIXES = (".nrrd", ".nhdr")
_HEADER_BYTES = 2**20
_TO_RAS = {
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
    "left-posterior-superior": (-1.0, -1.0, 1.0),
    "lps": (-1.0, -1.0, 1.0),
}
_SPATIAL_KINDS = {"domain", "space", "none", "???", ""}
_RAW, _GZIP, _BZIP2 = {"raw"}, {"gzip", "gz"}, {"bzip2", "bz2"}
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


@dataclass(frozen=True)
class _Layout:
    """What a header says of its voxels: their type, shape and affine, their encoding, and where they are."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    affine: np.ndarray
    encoding: str
    data: Source
    offset: int


def is_nrrd(path: str | Path) -> bool:
    """Does the name say NRRD?"""
    return str(path).lower().endswith(SUFFIXES)


def nrrd_header(source: Source | str | Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape `(i, j, k)` and affine of a file, without its voxels.

    Raises:
        InputError: as `read_nrrd`, but for what only the voxels tell.
    """
    layout = _layout(source if isinstance(source, Source) else Source(Path(source)))
    return layout.shape, layout.affine


def read_nrrd(source: Source | str | Path, *, allow_constant: bool = False) -> Volume:
    """Read a 3-D NRRD file; see teem.sourceforge.net/nrrd/format.html.

    Args:
        source: `.nrrd`, or `.nhdr` with its data file in the same folder; on disk or in an archive.
        allow_constant: accept a volume with one value throughout, as the label of a healthy case is.

    Raises:
        InputError: MISSING_FILE, UNREADABLE, NOT_AN_IMAGE, TRUNCATED, TOO_LARGE, WRONG_DIMENSION, NOT_GREYSCALE,
            NO_GEOMETRY, SINGULAR_AFFINE, BAD_SPACING, NAN or EMPTY.
    """
    source = source if isinstance(source, Source) else Source(Path(source))
    layout = _layout(source)
    array = _values(source, layout)
    check_values(str(source), array, allow_constant=allow_constant)
    digest = hashlib.sha256()
    for part in dict.fromkeys((source, layout.data)):
        digest.update(part.read())
    return Volume(array, layout.affine, str(source), None, digest.hexdigest())


def _layout(source: Source) -> _Layout:
    if source.member is None and not source.path.is_file():
        raise InputError(str(source), "MISSING_FILE", "there is no such file")
    header, end = _header(source)
    shape = tuple(int(size) for size in header["sizes"])
    dtype = _dtype(source, header)
    kinds = [str(kind).lower() for kind in header.get("kinds", ())]
    if len(shape) != 3 or min(shape) < 2 or any(kind not in _SPATIAL_KINDS for kind in kinds):
        why = (
            f"{source.name} has the shape {shape}{' of ' + ', '.join(kinds) if kinds else ''}, one 3-D volume is needed"
        )
        colour = any("color" in kind for kind in kinds)
        raise InputError(str(source), "NOT_GREYSCALE" if colour else "WRONG_DIMENSION", why)
    check_size(str(source), shape)
    affine = _affine(source, header)
    check_affine(str(source), affine)
    encoding = str(header.get("encoding", "")).lower()
    if encoding not in _RAW | _GZIP | _BZIP2:
        raise InputError(str(source), "DECODE_FAILED", f"the encoding {encoding!r} of {source.name} is not supported")
    data, offset = _data_file(source, header, end)
    return _Layout(dtype, shape, affine, encoding, data, offset)


def _header(source: Source) -> tuple[dict[str, Any], int]:
    """The parsed header, and the byte at which it ends."""
    import nrrd

    try:
        stream = io.BytesIO(source.read(_HEADER_BYTES))
    except UNREADABLE as error:
        raise InputError(str(source), "UNREADABLE", f"{source.name} cannot be opened ({reason(error)})") from error
    try:
        header = dict(nrrd.read_header(stream))
        header["sizes"] = [int(size) for size in header["sizes"]]
    except Exception as error:  # pynrrd raises many types
        why = f"{source.name} is not a NRRD image ({type(error).__name__})"
        raise InputError(str(source), "NOT_AN_IMAGE", why) from error
    return header, stream.tell()


def _dtype(source: Source, header: dict[str, Any]) -> np.dtype[Any]:
    name = str(header.get("type", "")).lower()
    code = next((code for code, names in _TYPES.items() if name in names), None)
    if code is None:
        raise InputError(str(source), "NOT_GREYSCALE", f"{source.name} holds {name!r}, one number a voxel is needed")
    order = str(header.get("endian", "little")).lower()
    return np.dtype(code).newbyteorder(">" if order == "big" else "<")


def _affine(source: Source, header: dict[str, Any]) -> np.ndarray:
    """Voxel indices to RAS+ mm."""
    signs = _TO_RAS.get(str(header.get("space", "")).lower())
    directions, origin = header.get("space directions"), header.get("space origin")
    if signs is None or directions is None or origin is None:
        why = f"{source.name} does not say where it lies (space, space directions, space origin)"
        raise InputError(str(source), "NO_GEOMETRY", why)
    try:
        affine = np.eye(4)
        affine[:3, :3] = np.asarray(directions, dtype=np.float64).reshape(3, 3).T
        affine[:3, 3] = np.asarray(origin, dtype=np.float64).reshape(3)
    except ValueError as error:
        raise InputError(str(source), "NO_GEOMETRY", f"the directions of {source.name} are no 3 x 3 numbers") from error
    return np.asarray(np.diag([*signs, 1.0]) @ affine)


def _data_file(source: Source, header: dict[str, Any], end: int) -> tuple[Source, int]:
    """Where the voxels begin: behind the header, or in a file beside it."""
    if any(float(header.get(key) or 0) for key in ("line skip", "lineskip", "byte skip", "byteskip")):
        raise InputError(str(source), "DECODE_FAILED", f"{source.name} skips lines or bytes, which is not supported")
    name = header.get("data file") or header.get("datafile")
    if not name:
        return source, end
    name = str(name)
    if os.path.basename(name) != name or "\\" in name or "%" in name or name.upper().startswith("LIST"):
        why = f"{source.name} names data outside its folder, or several files; only one file beside it is read"
        raise InputError(str(source), "UNREADABLE", why)
    data = (
        Source(source.path, f"{source.member.rpartition('/')[0]}/{name}".lstrip("/"))
        if source.member
        else (Source(source.path.with_name(name)))
    )
    if data.member is None and (not data.path.is_file() or data.path.is_symlink()):
        raise InputError(str(source), "MISSING_FILE", f"the data file {name} of {source.name} is not beside it")
    return data, 0


def _values(source: Source, layout: _Layout) -> np.ndarray:
    """The voxels `(i, j, k)`; never more bytes are inflated than the header says."""
    expected = int(np.prod(layout.shape, dtype=np.int64)) * layout.dtype.itemsize
    try:
        with layout.data.open() as stream:
            stream.seek(layout.offset)
            content = _opened(stream, layout.encoding).read(expected)
    except UNREADABLE as error:
        why = f"{source.name} ends too early or is damaged ({reason(error)})"
        raise InputError(str(source), "TRUNCATED", why) from error
    if len(content) < expected:
        why = f"{source.name} ends too early ({len(content)} of {expected} bytes)"
        raise InputError(str(source), "TRUNCATED", why)
    array = np.frombuffer(content, layout.dtype).reshape(layout.shape, order="F")
    return array.astype(layout.dtype.newbyteorder("="), copy=False)


def _opened(stream: BinaryIO, encoding: str) -> BinaryIO:
    if encoding in _RAW:
        return stream
    return cast(BinaryIO, gzip.open(stream) if encoding in _GZIP else bz2.open(stream))
