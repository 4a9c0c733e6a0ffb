"""`Content`: a file's bytes, unpacked, read once from start to end."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import zlib
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol, cast

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.source import UNREADABLE, Source, unreadable

if TYPE_CHECKING:
    from hashlib import _Hash

Packing = Literal["raw", "gzip", "bzip2", "zlib"]
_GZIP = b"\x1f\x8b"
_CHUNK = 2**20
_MAX_SKIP = 2**26  # bytes between a header and its voxels; more is no header's


class _Readable(Protocol):
    def read(self, count: int) -> bytes: ...


class Content:
    """The content of a file, of which the first bytes may be looked at before all is read. Use as a context manager.

    Args:
        source: the file.
        digest: takes the bytes as they are stored; None: a SHA-256 of its own.
        unpack: inflate what begins as gzip does, whatever the file is called.

    Raises:
        InputError: MISSING_FILE, UNREADABLE or TRUNCATED; so do its methods.
    """

    def __init__(self, source: Source, digest: _Hash | None = None, *, unpack: bool = True) -> None:
        self.source = source
        self.digest = hashlib.sha256() if digest is None else digest
        self._ahead = b""
        try:
            self._file = source.open()
            self._stored = _Stored(self._file, self.digest)
            self.packed = unpack and self._stored.peek(len(_GZIP)) == _GZIP
        except UNREADABLE as error:
            raise unreadable(source, error) from error
        self._stream: _Readable = _unpacked(self._stored, "gzip") if self.packed else self._stored

    def __enter__(self) -> Content:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def first(self, count: int) -> bytes:
        """The first `count` bytes, fewer where there are no more; to be asked for before anything else is read."""
        try:
            while len(self._ahead) < count and (block := self._stream.read(count - len(self._ahead))):
                self._ahead += block
        except UNREADABLE as error:
            raise unreadable(self.source, error) from error
        return self._ahead[:count]

    def read(self, count: int) -> bytes:
        """At most the next `count` bytes, as of any stream."""
        if self._ahead:
            ready, self._ahead = self._ahead[:count], self._ahead[count:]
            return ready
        return self._stream.read(count)

    def take(self, skip: int, count: int, packing: Packing = "raw") -> np.ndarray:
        """The voxels' bytes, uint8; never more are inflated.

        Args:
            skip: bytes before them.
            count: how many.
            packing: in which they are stored within this content.

        Raises:
            InputError: TRUNCATED where there are fewer; BAD_HEADER where `skip` is more than a header may have.
        """
        name = self.source.name
        if not 0 <= skip <= _MAX_SKIP:
            raise InputError(str(self.source), "BAD_HEADER", f"{name} says that its voxels begin at byte {skip}")
        taken = np.empty(count, np.uint8)
        view, filled = taken.data, 0
        try:
            while skip and (block := self.read(min(skip, _CHUNK))):
                skip -= len(block)
            stream = _unpacked(self, packing)
            while filled < count and (block := stream.read(min(count - filled, _CHUNK))):
                view[filled : filled + len(block)] = block
                filled += len(block)
        except UNREADABLE as error:
            raise unreadable(self.source, error) from error
        if filled < count:
            raise InputError(str(self.source), "TRUNCATED", f"{name} ends too early ({filled} of {count} bytes)")
        return taken

    def finish(self) -> None:
        """Read the rest as it is stored, for the digest; a check sum that follows the content is compared."""
        try:
            self._stream.read(1)
            while self._stored.read(_CHUNK):
                pass
        except UNREADABLE as error:
            raise unreadable(self.source, error) from error


class _Stored:
    """A file's bytes as they are stored, each hashed once."""

    def __init__(self, stream: BinaryIO, digest: _Hash) -> None:
        self._stream, self._digest, self._ahead = stream, digest, b""

    def peek(self, count: int) -> bytes:
        self._ahead = self.read(count)
        return self._ahead

    def read(self, count: int) -> bytes:
        if self._ahead:
            ready, self._ahead = self._ahead[:count], self._ahead[count:]
            return ready
        block = self._stream.read(count)
        self._digest.update(block)
        return block


class _Inflated:
    """What a zlib or gzip stream holds."""

    def __init__(self, stream: _Readable) -> None:
        self._stream, self._inflate = stream, zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: either header

    def read(self, count: int) -> bytes:
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._stream.read(_CHUNK)
            block = self._inflate.decompress(packed, count)
            if block or not packed:
                return block
        return b""


def _unpacked(stream: _Readable, packing: Packing) -> _Readable:
    file = cast(Any, stream)  # these two ask for nothing but `read`
    if packing == "gzip":
        return gzip.GzipFile(fileobj=file)
    if packing == "bzip2":
        return bz2.BZ2File(file)
    return _Inflated(stream) if packing == "zlib" else stream
