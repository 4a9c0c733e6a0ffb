"""MetaImage: `.mha`, or `.mhd` with its voxels in a file beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.content import Content
from data_prep.formats.detached import data_beside
from data_prep.formats.layout import LPS, Layout, check_voxels
from data_prep.formats.units import in_mm

_HEADER_BYTES = 2**16
_LAST = "elementdatafile"  # the key that ends a header
_TYPES = {
    "met_char": "i1",
    "met_uchar": "u1",
    "met_short": "i2",
    "met_ushort": "u2",
    "met_int": "i4",
    "met_uint": "u4",
    "met_long": "i4",
    "met_ulong": "u4",
    "met_long_long": "i8",
    "met_ulong_long": "u8",
    "met_float": "f4",
    "met_double": "f8",
}
_DIRECTIONS = ("transformmatrix", "rotation", "orientation")
_ORIGIN = ("offset", "position", "origin")
_SPACING = ("elementspacing", "elementsize")
_TRUE = ("true", "t", "1", "yes")


def metaimage_layout(content: Content) -> Layout:
    """What a header says of its voxels; see itk.org/Wiki/MetaIO/Documentation.

    Raises:
        InputError: NOT_AN_IMAGE, NOT_GREYSCALE, WRONG_DIMENSION, NO_GEOMETRY, BAD_HEADER, DECODE_FAILED; UNREADABLE
            where it names several data files, or one elsewhere; MISSING_FILE.
    """
    source = content.source
    fields, end = _fields(content)
    shape = tuple(int(size) for size in _numbers(content, fields, ("dimsize",)))
    if fields.get("binarydata", "true").lower() not in _TRUE:
        raise InputError(str(source), "DECODE_FAILED", f"{source.name} holds text, which is not supported")
    scale = (fields.get("elementtointensityfunctionslope", "1"), fields.get("elementtointensityfunctionoffset", "0"))
    if scale != ("1", "0"):
        raise InputError(str(source), "DECODE_FAILED", f"{source.name} scales its values, which is not supported")
    place = fields[_LAST]
    local = place.lower() == "local"
    data = source if local else data_beside(source, place)
    dtype = _dtype(content, fields)
    if len(shape) < 3:
        raise InputError(str(source), "WRONG_DIMENSION", f"{source.name} has the shape {shape}, three axes are needed")
    check_voxels(source, dtype, shape)
    return Layout(
        dtype=dtype,
        shape=shape,
        affine=_affine(content, fields, axes=len(shape)),
        data=data,
        offset=end if local else int(_numbers(content, fields, ("headersize",), default="0")[0]),
        packing="zlib" if fields.get("compresseddata", "").lower() in _TRUE else "raw",
    )


def _fields(content: Content) -> tuple[dict[str, str], int]:
    """The header's lines `key = value`, keys in lower case, and the byte at which it ends."""
    text, fields, end = content.first(_HEADER_BYTES), dict[str, str](), 0
    for line in text.splitlines(keepends=True):
        end += len(line)
        key, equals, value = line.decode("latin-1").partition("=")
        fields[key.strip().lower()] = value.strip()
        if not equals or key.strip().lower() == _LAST:
            break
    name = content.source.name
    if fields.get("objecttype", "image").lower() != "image" or not fields.get(_LAST) or "dimsize" not in fields:
        raise InputError(str(content.source), "NOT_AN_IMAGE", f"{name} is not a MetaImage")
    return fields, end


def _dtype(content: Content, fields: dict[str, str]) -> np.dtype[Any]:
    kind, channels = fields.get("elementtype", "").lower(), fields.get("elementnumberofchannels", "1")
    if kind not in _TYPES or channels != "1":
        name = content.source.name
        why = f"{name} holds {channels} x {kind[:24] or 'nothing'} in each voxel, one number is needed"
        raise InputError(str(content.source), "NOT_GREYSCALE", why)
    order = fields.get("elementbyteordermsb", fields.get("binarydatabyteordermsb", "false"))
    return np.dtype(_TYPES[kind]).newbyteorder(">" if order.lower() in _TRUE else "<")


def _affine(content: Content, fields: dict[str, str], *, axes: int) -> np.ndarray:
    """Voxel indices to RAS+ mm, of the first three axes."""
    source = content.source
    directions, origin, spacing = (_numbers(content, fields, keys) for keys in (_DIRECTIONS, _ORIGIN, _SPACING))
    try:
        affine = np.eye(4)
        affine[:3, :3] = (directions.reshape(axes, axes)[:3, :3] * spacing[:3, None]).T
        affine[:3, 3] = origin[:3]
    except ValueError as error:
        raise InputError(
            str(source), "NO_GEOMETRY", f"the directions of {source.name} are not {axes} x {axes}"
        ) from error
    if (spacing[:3] <= 0).any():
        raise InputError(str(source), "BAD_SPACING", f"{source.name} has a voxel size of {spacing[:3].tolist()} mm")
    return LPS @ in_mm(source, affine, [fields.get("distanceunits", "")] * 3)


def _numbers(content: Content, fields: dict[str, str], keys: tuple[str, ...], default: str = "") -> np.ndarray:
    """The numbers of the first of several names of one field."""
    text = next((fields[key] for key in keys if key in fields), default)
    try:
        numbers = np.array([float(word) for word in text.split()])
    except ValueError:
        numbers = np.array([])
    if not numbers.size:
        code, name = "BAD_HEADER" if keys[0] == "dimsize" else "NO_GEOMETRY", content.source.name
        raise InputError(str(content.source), code, f"{name} does not say where it lies ({keys[0]})")
    return numbers
