"""Multipart messages, cut anywhere."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.pacs.multipart import MultipartError, boundary_of, pieces


def parts(chunks: list[bytes], boundary: bytes | None = b"x") -> list[bytes]:
    found, current = [], b""
    for piece in pieces(chunks, boundary):
        if piece is None:
            found.append(current)
            current = b""
        else:
            current += piece
    assert current == b""
    return found


@given(
    contents=st.lists(st.binary(max_size=60).filter(lambda one: b"--x" not in one), max_size=4),
    cuts=st.lists(st.integers(0, 300), max_size=8),
    before=st.sampled_from([b"", b"a preamble\r\n"]),
    header=st.sampled_from([b"", b"Content-Type: application/dicom\r\n"]),
)
def test_however_it_is_cut_the_same_parts_come_out(
    contents: list[bytes], cuts: list[int], before: bytes, header: bytes
) -> None:
    message = before + b"".join(b"--x\r\n" + header + b"\r\n" + one + b"\r\n" for one in contents) + b"--x--\r\nafter"
    places = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
    chunks = [message[one:other] for one, other in pairwise(places)]
    assert parts(chunks) == contents


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_noise_is_an_error_or_nothing(chunks: list[bytes]) -> None:
    with suppress(MultipartError, AssertionError):
        parts(chunks)


@pytest.mark.parametrize("message", [b"", b"--x\r\n\r\nhalf", b"--x\r\n\r\none\r\n--x", b"--x\r\n" + b"a" * 9000])
def test_half_a_message_is_an_error(message: bytes) -> None:
    with pytest.raises(MultipartError):
        list(pieces([message], b"x"))


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ("multipart/related; type=application/dicom; boundary=a", b"a"),
        ('Multipart/Related; boundary="a b"; type="application/dicom"', b"a b"),
        ("application/dicom", None),
    ],
)
def test_boundaries(kind: str, boundary: bytes | None) -> None:
    assert boundary_of(kind) == boundary


@pytest.mark.parametrize("kind", ["", "text/html", "multipart/related", "multipart/related; boundary="])
def test_what_is_no_multipart(kind: str) -> None:
    with pytest.raises(MultipartError):
        boundary_of(kind)
