"""Compressed pixel data (PS3.5 A.4): is it whole, does it fit its header, and can it be decoded here?"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import BinaryIO

from data_prep.dicom.codestream import frame_size, rle_segments

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_START_BYTES = 2**16  # of a frame in which its size must stand
_PREFIX = "1.2.840.10008.1.2."
RLE = f"{_PREFIX}5"
EXTENDED = f"{_PREFIX}4.51"
DECODED = frozenset(
    {RLE, *(f"{_PREFIX}4.{kind}" for kind in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203))}
)  # JPEG, JPEG lossless, JPEG-LS, JPEG 2000, high-throughput JPEG 2000
Fault = tuple[str, str]


def why_not(syntax: str, bits_stored: int) -> str | None:
    """Why pixels of a transfer syntax cannot be decoded here; None where they can."""
    if syntax not in DECODED:
        return "it is compressed in a way that is not supported (a video, or an unknown transfer syntax)"
    if syntax == EXTENDED and bits_stored > 8 and find_spec("libjpeg") is None:
        return "12-bit JPEG needs a decoder under the GPL: pip install healthytwin[gpl-codecs]"
    return None


def encapsulated_fault(
    stream: BinaryIO,
    *,
    name: str,
    syntax: str,
    offset: int,
    shape: tuple[int, int],
    samples: int,
    bits: tuple[int, int],
    frames: int,
) -> Fault | None:
    """What is wrong with compressed pixel data, as far as it can be told without decoding them.

    Args:
        stream: of the file.
        name: of the file, for the sentence.
        syntax: TransferSyntaxUID.
        offset: of the value of the pixel data.
        shape: (Rows, Columns).
        samples: SamplesPerPixel.
        bits: (BitsAllocated, BitsStored).
        frames: NumberOfFrames.

    Returns:
        UNSUPPORTED_SYNTAX, TRUNCATED or DECODE_FAILED with a sentence; None: nothing.
    """
    if why := why_not(syntax, bits[1]):
        return "UNSUPPORTED_SYNTAX", f"{name} cannot be decoded: {why}"
    fragments = walk_fragments(stream, offset)
    if fragments is None or len(fragments) <= frames:
        return "TRUNCATED", f"{name} breaks off in its pixels"
    start, length = fragments[1]
    stream.seek(start)
    head = stream.read(min(length, _START_BYTES))
    if syntax == RLE:
        fits = rle_segments(head) == samples * bits[0] // 8
    else:
        size = frame_size(head)
        fits = (
            size is not None and (size.rows, size.columns, size.samples) == (*shape, samples) and size.bits <= bits[0]
        )
    return None if fits else ("DECODE_FAILED", f"the compressed pixels of {name} are not what its header says")


def walk_fragments(stream: BinaryIO, offset: int) -> list[tuple[int, int]] | None:
    """Where each fragment lies, `(start, length)`, the offset table first; None where the sequence breaks off."""
    size = stream.seek(0, os.SEEK_END)
    fragments: list[tuple[int, int]] = []
    while offset + 8 <= size:
        stream.seek(offset)
        head = stream.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] == _END:
            return fragments
        if head[:4] != _ITEM or offset + 8 + length > size:
            return None
        fragments.append((offset + 8, length))
        offset += 8 + length
    return None
