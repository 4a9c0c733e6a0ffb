"""Ways to damage a file: bytes, blocks, lengths, DICOM elements, whole files swapped."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz.seeds import Files

_NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE, 0x10000, 2**24)
_HEAD = 4096  # bytes at the start, where headers are
_WORDS = (
    b"-1",
    b"0",
    b"nan",
    b"inf",
    b"1e308",
    b"65535",
    b"99999999999",
    b"\\",
    b"../../../evil",
    b"\0" * 8,
    b"a" * 80,
)


def damage(files: Files, others: Sequence[Files], rng: Random) -> Files:
    """A copy of a small folder with one to three injuries."""
    files = dict(files)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        name = rng.choice(sorted(files))
        way = rng.choice(_WAYS)
        files[name] = way(files[name], _other(others, rng), rng)
    if len(files) > 1 and rng.random() < 0.1:
        del files[rng.choice(sorted(files))]
    return files


def _other(others: Sequence[Files], rng: Random) -> bytes:
    folder = rng.choice(others)
    return folder[rng.choice(sorted(folder))]


def _place(size: int, rng: Random) -> int:
    """Somewhere, in two of three cases in the header."""
    return rng.randrange(min(size, _HEAD) if rng.random() < 0.67 else size) if size else 0


def flip(content: bytes, _: bytes, rng: Random) -> bytes:
    """A few bits or bytes changed."""
    data = bytearray(content)
    for _i in range(rng.choice((1, 1, 2, 4, 16, 64)) if data else 0):
        place = _place(len(data), rng)
        data[place] = rng.randrange(256) if rng.random() < 0.5 else data[place] ^ (1 << rng.randrange(8))
    return bytes(data)


def number(content: bytes, _: bytes, rng: Random) -> bytes:
    """A number, such as a length, replaced by an extreme one."""
    code = rng.choice(("<H", "<I", ">H", ">I", "<Q", "<f", "<d"))
    value: float = (
        rng.choice((float("nan"), float("inf"), -1.0, 1e30)) if code in {"<f", "<d"} else rng.choice(_NUMBERS)
    )
    if code[1] in "HIQ":
        value = int(value) & (256 ** struct.calcsize(code) - 1)
    packed = struct.pack(code, value)
    place = _place(len(content), rng) & ~1
    return content[:place] + packed + content[place + len(packed) :]


def word(content: bytes, _: bytes, rng: Random) -> bytes:
    """A text written over what is there."""
    text, place = rng.choice(_WORDS), _place(len(content), rng)
    return content[:place] + text + content[place + len(text) :]


def cut(content: bytes, _: bytes, rng: Random) -> bytes:
    """The end, or a block within, missing."""
    place = _place(len(content), rng)
    return content[:place] if rng.random() < 0.6 else content[:place] + content[place + rng.randrange(1, 4096) :]


def repeat(content: bytes, _: bytes, rng: Random) -> bytes:
    """A block twice, or many times."""
    place, length = _place(len(content), rng), rng.randrange(1, 512)
    return content[:place] + content[place : place + length] * rng.choice((2, 3, 40)) + content[place + length :]


def splice(content: bytes, other: bytes, rng: Random) -> bytes:
    """The start of one file and the end of another."""
    return content[: _place(len(content), rng)] + other[_place(len(other), rng) :]


def swap(_: bytes, other: bytes, __: Random) -> bytes:
    """Another file under this name."""
    return other


def element(content: bytes, _: bytes, rng: Random) -> bytes:
    """The value or length of one DICOM element that matters to a reader."""
    tag = rng.choice(_TAGS)
    place = content.find(struct.pack("<HH", *tag))
    if place < 0 or place + 8 >= len(content):
        return flip(content, _, rng)
    target = place + rng.choice((4, 6, 8, 8, 8))
    return content[:target] + rng.choice(_WORDS) + content[target + rng.randrange(2, 9) :]


_TAGS = (
    (0x0002, 0x0010),
    (0x0008, 0x0016),
    (0x0008, 0x0018),
    (0x0008, 0x0008),
    (0x0018, 0x0050),
    (0x0020, 0x000E),
    (0x0020, 0x0032),
    (0x0020, 0x0037),
    (0x0028, 0x0002),
    (0x0028, 0x0004),
    (0x0028, 0x0008),
    (0x0028, 0x0010),
    (0x0028, 0x0011),
    (0x0028, 0x0030),
    (0x0028, 0x0100),
    (0x0028, 0x0101),
    (0x0028, 0x0103),
    (0x0028, 0x1052),
    (0x0028, 0x1053),
    (0x5200, 0x9229),
    (0x5200, 0x9230),
    (0x7FE0, 0x0010),
    (0xFFFE, 0xE000),
    (0xFFFE, 0xE0DD),
)
_WAYS: tuple[Callable[[bytes, bytes, Random], bytes], ...] = (
    flip, flip, flip, number, number, word, cut, repeat, splice, swap, element, element,
)  # fmt: skip
