"""A multipart message taken apart while it comes, with no more than a chunk of it in memory (RFC 2046 section 5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email.message import Message

_MOST_HEADER = 8192  # bytes before the content of a part


class MultipartError(ValueError):
    """This is no multipart message, or not the whole of one."""


def boundary_of(content_type: str) -> bytes | None:
    """What lies between the parts, by a Content-Type; None where it is that of a single DICOM object.

    Raises:
        MultipartError: it is neither.
    """
    message = Message()
    message["Content-Type"] = content_type
    if message.get_content_type() == "application/dicom":
        return None
    boundary = message.get_boundary()
    if message.get_content_type() != "multipart/related" or not boundary:
        msg = "the answer holds no DICOM objects"
        raise MultipartError(msg)
    return boundary.encode("latin-1", "replace")


def pieces(chunks: Iterable[bytes], boundary: bytes | None) -> Iterator[bytes | None]:
    """The content of the parts, piece by piece, and None after every part that is whole.

    Args:
        chunks: the message, cut anywhere.
        boundary: None: the message is one part.

    Raises:
        MultipartError: the message ends before its last boundary, or a part's header does not end.

    >>> list(pieces([b"--x\\r\\nA: 1\\r\\n\\r\\none", b"\\r\\n--x--"], b"x"))
    [b'one', None]
    """
    if boundary is None:
        yield from chunks
        yield None
        return
    delimiter = b"\r\n--" + boundary
    held = bytearray(b"\r\n")  # the first boundary has no line before it
    begun = in_part = False
    for chunk in chunks:
        held += chunk
        while True:
            if begun and not in_part:
                if held.startswith(b"--"):
                    return
                end = held.find(b"\r\n\r\n")
                if end < 0:
                    break
                del held[: end + 4]
                in_part = True
            at = held.find(delimiter)
            if at < 0:
                break
            if in_part:
                yield bytes(held[:at])
                yield None
            del held[: at + len(delimiter)]
            begun, in_part = True, False
        if begun and not in_part:
            if len(held) > _MOST_HEADER:
                msg = "the header of a part does not end"
                raise MultipartError(msg)
        elif len(held) >= len(delimiter):  # what may be the beginning of a boundary stays
            cut = len(held) - len(delimiter) + 1
            if in_part:
                yield bytes(held[:cut])
            del held[:cut]
    msg = "the answer breaks off"
    raise MultipartError(msg)
