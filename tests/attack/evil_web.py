"""A DICOMweb service of which some series behave badly, each in a way of its own; it listens on loopback."""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pydicom import dcmread

_BOUNDARY = "limit"
_PARTS = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
_SLOWEST = 600  # seconds after which a slow answer ends by itself
_MOST = 3_000_000_000  # bytes after which an endless one does


def part(content: bytes) -> bytes:
    """One part of a multipart message."""
    return b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (_BOUNDARY.encode(), content)


def whole(images: list[bytes]) -> bytes:
    """A multipart message."""
    return b"".join(map(part, images)) + f"--{_BOUNDARY}--\r\n".encode()


class Answer:
    """What a behaviour can do with one request.

    Args:
        handler: of the standard library.
        images: of the series that was asked for.
    """

    def __init__(self, handler: BaseHTTPRequestHandler, images: list[bytes]) -> None:
        self.handler, self.images = handler, images

    def begin(self, *, status: int = 200, kind: str = _PARTS, **headers: str) -> Callable[[bytes], Any]:
        """Send the header; gives what sends the rest."""
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()
        return self.handler.wfile.write

    def good(self) -> None:
        """As it should be."""
        self.begin()(whole(self.images))


def endless(answer: Answer) -> None:
    """One object that never ends."""
    write, sent = answer.begin(), 0
    write(part(answer.images[0])[:-2])
    while sent < _MOST:
        sent += write(bytes(2**20))


def endless_parts(answer: Answer) -> None:
    """Objects without end."""
    write, sent = answer.begin(), 0
    padded = part(answer.images[0] + b"\xfc\xff\xfc\xffOB\0\0" + (2**20).to_bytes(4, "little") + bytes(2**20))
    while sent < _MOST:
        sent += write(padded)


def endless_header(answer: Answer) -> None:
    """A part whose header never ends."""
    write, sent = answer.begin(), 0
    write(f"--{_BOUNDARY}\r\n".encode())
    while sent < _MOST:
        sent += write(b"X-A: " + b"a" * 2**16 + b"\r\n")


def a_byte_a_second(answer: Answer) -> None:
    """The whole truth, a byte a second."""
    write = answer.begin()
    for byte in whole(answer.images)[:_SLOWEST]:
        write(bytes([byte]))
        time.sleep(1)


def a_header_a_second(answer: Answer) -> None:
    """HTTP header lines, one a second."""
    for number in range(_SLOWEST):
        answer.handler.wfile.write(b"HTTP/1.1 200 OK\r\n" if not number else b"X-%d: a\r\n" % number)
        time.sleep(1)


def silence(answer: Answer) -> None:
    """A header, and then nothing."""
    answer.begin()
    time.sleep(_SLOWEST)


def breaks_off(answer: Answer) -> None:
    """The connection is closed in the middle of an object."""
    answer.begin()(whole(answer.images)[: len(answer.images[0]) // 2])


def too_few(answer: Answer) -> None:
    """Half the images, as if they were all."""
    answer.begin()(whole(answer.images[: len(answer.images) // 2]))


def no_multipart(answer: Answer) -> None:
    """A page of a login form."""
    answer.begin(kind="text/html")(b"<form>")


def no_dicom(answer: Answer) -> None:
    """One of the objects is something else."""
    answer.begin()(whole([*answer.images[:-1], b"MZ" + bytes(5000)]))


def no_uid(answer: Answer) -> None:
    """One of the objects has no identity."""
    begin = answer.images[0].index(b"DICM") + 4
    answer.begin()(whole([*answer.images[:-1], answer.images[0][:begin] + b"\xff" * 4000]))


def fails(answer: Answer) -> None:
    """The server has a fault."""
    answer.begin(status=500, kind="text/plain")(b"java.lang.NullPointerException")


def bomb(answer: Answer) -> None:
    """A gigabyte that comes as a megabyte."""
    packer = zlib.compressobj(wbits=31)
    begin = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    answer.begin(Content_Encoding="gzip")(begin + block * 1000)


@cache
def _deflated(mebibytes: int) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)  # independent of what was before it
    body = block * mebibytes + packer.flush()
    syntax = b"1.2.840.10008.1.2.1.99"
    meta = b"\x02\x00\x10\x00UI" + len(syntax).to_bytes(2, "little") + syntax
    return bytes(128) + b"DICM" + meta + body


def deflated(answer: Answer) -> None:
    """A DICOM object whose header inflates to half a gigabyte."""
    content = _deflated(500)
    answer.begin()(whole([content]))


def chunk_lengths(answer: Answer) -> None:
    """Chunks whose lengths are no numbers."""
    answer.begin(Transfer_Encoding="chunked")(b"ZZZ\r\n" + whole(answer.images))


def in_circles(answer: Answer) -> None:
    """A redirect to itself."""
    answer.begin(status=302, Location=answer.handler.path)


def others(answer: Answer) -> None:
    """Images of another series than the one that was asked for."""
    answer.begin()(whole([image.replace(b"1.2.826", b"1.2.827") for image in answer.images]))


BEHAVIOURS: dict[Callable[[Answer], None], str] = {  # and what is told of each
    endless: "too large",
    endless_parts: "the answer is too large",
    endless_header: "the header of a part does not end",
    a_byte_a_second: "the answer takes too long",
    a_header_a_second: "the answer takes too long",
    silence: "the answer takes too long",
    breaks_off: "the answer breaks off",
    too_few: "images missing",
    no_multipart: "the answer holds no DICOM objects",
    no_dicom: "not a DICOM file",
    no_uid: "SOPClassUID is missing or malformed",
    fails: "HTTP 500",
    bomb: "ContentDecodingError",
    deflated: "SOPClassUID is missing or malformed",
    chunk_lengths: "ChunkedEncodingError",
    in_circles: "TooManyRedirects",
    others: "images of another series",
}


class Service:
    """The series that it lists, and how each answers.

    Args:
        entries: further entries of the list of series, as they are.
    """

    def __init__(self, entries: list[Any] | None = None) -> None:
        self.entries: list[Any] = list(entries or [])
        self.answers: dict[str, tuple[Callable[[Answer], None], list[bytes]]] = {}
        self.seen: list[dict[str, str]] = []
        self.url = ""

    def add(self, behaviour: Callable[[Answer], None], path: Path) -> None:
        """List a series of a folder, with a way to answer."""
        files = sorted(path.iterdir())
        head = dcmread(files[0], stop_before_pixels=True)
        told = {"0020000D": head.StudyInstanceUID, "0020000E": head.SeriesInstanceUID, "00201209": len(files)}
        self.entries.append({tag: {"vr": "UI", "Value": [value]} for tag, value in told.items()})
        self.answers[head.SeriesInstanceUID] = behaviour, [file.read_bytes() for file in files]

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.seen.append(dict(handler.headers))
        place = handler.path.partition("?")[0]
        if place.endswith("/series"):
            page = self.entries if "offset=0" in handler.path else []
            Answer(handler, []).begin(kind="application/dicom+json")(json.dumps(page).encode())
            return
        behaviour, images = self.answers[place.rpartition("/")[2]]
        behaviour(Answer(handler, images))


@contextmanager
def running(service: Service) -> Iterator[str]:
    """The service for the time of the body; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.close_connection = True
            with suppress(OSError):  # the other side has had enough
                service.handle(self)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
    try:
        yield service.url
    finally:
        server.shutdown()
        server.server_close()
