"""What a compressed frame says of itself, before any decoder sees it: JPEG, JPEG-LS, JPEG 2000, RLE."""

from __future__ import annotations

import struct
from typing import NamedTuple

_JPEG_START, _J2K_START = b"\xff\xd8", b"\xff\x4f\xff\x51"
# start of frame: baseline to lossless, and JPEG-LS (ITU-T T.81 table B.1, T.87 C.1.1); C4, C8 and CC are no frames
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_RLE_HEADER = 64  # bytes, PS3.5 G.5
_MAX_SEGMENTS = 15


class FrameSize(NamedTuple):
    """What a codestream announces.

    Args:
        rows: height.
        columns: width.
        samples: components.
        bits: precision of one; 0 where it does not say.
    """

    rows: int
    columns: int
    samples: int
    bits: int


def frame_size(start: bytes) -> FrameSize | None:
    """The size that a JPEG, JPEG-LS or JPEG 2000 codestream announces; None where its first bytes do not tell."""
    if (at := start.find(_J2K_START)) >= 0 and not start.startswith(_JPEG_START):
        return _jpeg_2000(start[at + 4 :])
    if start.startswith(_JPEG_START):
        return _jpeg(start)
    return None


def rle_segments(start: bytes) -> int | None:
    """The number of segments in an RLE frame (PS3.5 G.5); None where its header makes no sense."""
    if len(start) < _RLE_HEADER:
        return None
    count, *offsets = struct.unpack("<16L", start[:_RLE_HEADER])
    used = offsets[:count]
    sound = 0 < count <= _MAX_SEGMENTS and used[0] == _RLE_HEADER and used == sorted(used)
    return int(count) if sound else None


def _jpeg_2000(segment: bytes) -> FrameSize | None:
    """SIZ marker segment (ITU-T T.800 A.5.1), from its length on."""
    if len(segment) < 39:
        return None
    width, height, left, top = struct.unpack(">4L", segment[4:20])
    (components,) = struct.unpack(">H", segment[36:38])
    return FrameSize(height - top, width - left, components, (segment[38] & 0x7F) + 1)


def _jpeg(stream: bytes) -> FrameSize | None:
    at = 2
    while at + 4 <= len(stream):
        if stream[at] != 0xFF:
            return None
        marker = stream[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES:
            if at + 10 > len(stream):
                return None
            bits, rows, columns, samples = struct.unpack(">BHHB", stream[at + 4 : at + 10])
            return FrameSize(rows, columns, samples, bits)
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return None
