"""The pixels of a DICOM volume: stored values, decoded and rescaled (PS3.3 C.7.6.3, C.11.1)."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Sequence

import numpy as np

from data_prep.dicom.header import DEFLATED, EXPLICIT_BIG, GE_BIG_PIXELS, NATIVE, inflate, meta_length
from data_prep.dicom.instance import Instance
from data_prep.dicom.padding import fill_padding
from data_prep.errors import InputError
from data_prep.formats.source import UNREADABLE, Source, reason


def read_pixels(instances: Sequence[Instance], place: str) -> tuple[np.ndarray, str]:
    """The rescaled values of a stack of slices, and a hash of their files.

    Stored values are cut to BitsStored; above it old files carry overlays. Slope and intercept come next, and
    padding becomes air last (`fill_padding`). MONOCHROME1 says how an image is shown: the numbers of CT and PET mean
    what they mean and stay, while the grey values of MR are turned round, so that bright is high, within the range of
    BitsStored and before slope and intercept: `max - x` where unsigned, `-1 - x` where signed.

    Args:
        instances: from the first slice to the last; all of one size.
        place: file or folder that errors name.

    Returns:
        `(column, row, slice)`: the smallest integer type that holds all values that could occur where slope and
        intercept are whole numbers and the same in all slices, else float32. And the SHA-256 over the files'
        SHA-256 in the order of their SOPInstanceUIDs; where only some frames of a file are used, over these too.

    Raises:
        InputError: UNREADABLE, TRUNCATED or DECODE_FAILED.
    """
    first = instances[0]
    values = np.empty((len(instances), *first.shape), _type_of_values(instances))
    padded = np.zeros(values.shape, bool) if any(instance.padding for instance in instances) else None
    digests: dict[tuple[str, str], bytes] = {}
    for source, indices in _by_source(instances).items():
        content = _read(source, place)
        sample = instances[indices[0]]
        frames = [instances[index].frame or 0 for index in indices]
        used = "" if len(frames) == sample.frames else ",".join(map(str, sorted(frames)))
        digests[sample.sop_uid, used] = hashlib.sha256(content).digest()
        for index, stored in zip(indices, _stored(content, sample, frames, place), strict=True):
            stored = _cut(stored, instances[index])
            if padded is not None and (ends := instances[index].padding):
                padded[index] = (stored >= ends[0]) & (stored <= ends[1])
            _rescale(stored, instances[index], values[index])
    if padded is not None:
        fill_padding(values, padded, first.modality)
    digest = hashlib.sha256()
    for (_, used), content_digest in sorted(digests.items()):
        digest.update(content_digest + used.encode())
    return values.transpose(2, 1, 0), digest.hexdigest()


def _by_source(instances: Sequence[Instance]) -> dict[Source, list[int]]:
    """The indices of the slices that each file holds."""
    indices: dict[Source, list[int]] = {}
    for index, instance in enumerate(instances):
        indices.setdefault(instance.source, []).append(index)
    return indices


def _read(source: Source, place: str) -> bytes:
    try:
        return source.read()
    except UNREADABLE as error:
        raise InputError(place, "UNREADABLE", f"{source.name} cannot be opened ({reason(error)})") from error


def _stored(content: bytes, instance: Instance, frames: Sequence[int], place: str) -> np.ndarray:
    """Stored values `(frame, row, column)` of some frames of a file."""
    if instance.syntax in NATIVE:
        return _native(content, instance, place)[list(frames)]
    from data_prep.dicom.codec import CodecError, decode_frames

    try:
        return decode_frames(content[instance.pixels[1] :], instance, frames)
    except CodecError as error:
        why = f"the pixels of {instance.source.name} cannot be decoded ({error})"
        raise InputError(place, "DECODE_FAILED", why) from error


def _native(content: bytes, instance: Instance, place: str) -> np.ndarray:
    """All frames of a file that is not compressed; a deflated one is inflated as far as its header says."""
    allocated, _, signed = instance.bits
    begin = instance.pixels[1]
    expected = instance.frame_bytes * instance.frames
    if instance.syntax == DEFLATED:
        try:
            _, start = meta_length(content)
            content = content[:start] + inflate(content[start:], begin - start + expected)
        except zlib.error as error:
            raise InputError(place, "TRUNCATED", f"{instance.source.name} is damaged ({error})") from error
    if len(content) < begin + expected:
        why = f"{instance.source.name} breaks off in its pixels ({len(content) - begin} of {expected} bytes)"
        raise InputError(place, "TRUNCATED", why)
    if instance.swapped:
        words = np.frombuffer(content, "<u2", count=min(expected + 1, len(content) - begin) // 2, offset=begin)
        content, begin = words.byteswap().tobytes() + content[begin + 2 * words.size :], 0
    order = ">" if instance.syntax in (EXPLICIT_BIG, GE_BIG_PIXELS) else "<"
    dtype = np.dtype(f"{order}{'i' if signed else 'u'}{allocated // 8}")
    pixels = np.frombuffer(content, dtype, count=expected // dtype.itemsize, offset=begin)
    return pixels.reshape(instance.frames, *instance.shape)


def _cut(stored: np.ndarray, instance: Instance) -> np.ndarray:
    """Stored values without what lies above BitsStored."""
    allocated, bits, signed = instance.bits
    if bits < allocated:
        stored = stored.view(stored.dtype.str.replace("i", "u")) & ((1 << bits) - 1)
        sign = 1 << (bits - 1)
        stored = (stored.astype(np.int64) ^ sign) - sign if signed else stored
    return stored


def _rescale(stored: np.ndarray, instance: Instance, into: np.ndarray) -> None:
    """Stored values `(row, column)`, cut, to output values."""
    _, bits, signed = instance.bits
    if instance.inverted:
        stored = (-1 if signed else (1 << bits) - 1) - stored.astype(np.int64)
    slope, intercept = instance.rescale
    if (slope, intercept) == (1, 0):
        into[...] = stored
    elif into.dtype.kind == "f":
        into[...] = stored * np.float64(slope) + intercept
    else:
        into[...] = stored.astype(np.int64) * int(slope) + int(intercept)


def _type_of_values(instances: Sequence[Instance]) -> np.dtype[np.generic]:
    """The type of the output."""
    first = instances[0]
    alike = all((other.rescale, other.bits) == (first.rescale, first.bits) for other in instances)
    whole = all(math.floor(number) == number and abs(number) < 2**31 for number in first.rescale)
    if not alike or not whole:
        return np.dtype(np.float32)
    _, bits, signed = first.bits
    ends = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    values = [int(first.rescale[0]) * end + int(first.rescale[1]) for end in ends]
    types = (np.iinfo(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4"))
    return next((one.dtype for one in types if one.min <= min(values) and max(values) <= one.max), np.dtype(np.float32))
