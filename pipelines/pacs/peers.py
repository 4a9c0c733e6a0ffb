"""Connections to a listener: how far each has come, and when it has had its time."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

_MOST_PDU = 2**20  # bytes; a request for an association has some kilobytes, and data comes in pieces that we bound
_PEEKED = 2**15  # bytes of a request that must be there before it costs a thread of pynetdicom's
_REQUEST = 0x01  # type of an A-ASSOCIATE-RQ PDU (PS3.8 section 9.3.2)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """What a listener grants.

    Args:
        pending: connections that have not yet asked for an association.
        negotiating: at once.
        associations: in all.
        per_address: associations.
        request_seconds: from a connection to its association.
        wait_seconds: that a request waits for a free place.
        idle_seconds: of an association without a message.
        grace_seconds: of a message, after which it must have come at `slowest`.
        slowest: bytes a second, on average.
        spared_seconds: of a new association, before it may lose its place to another one.
    """

    pending: int = 400
    negotiating: int = 16
    associations: int = 64
    per_address: int = 56
    request_seconds: float = 10
    wait_seconds: float = 3
    idle_seconds: float = 60
    grace_seconds: float = 30
    slowest: float = 2000
    spared_seconds: float = 1


@dataclass(eq=False, kw_only=True)
class Peer:
    """The other end of a connection.

    Args:
        number: of the connection.
        address: where it comes from.
        request: its socket.
        remote: its address, as the socket says it.
        opened: when, by the monotonic clock.
        association: of pynetdicom, once it has asked for one.
        admitted: when it got its place; None: it has none.
        progress: when its last message was whole.
        received: bytes in all.
        before: bytes until `progress`.
        delivered: images that were kept.
        ended: we have closed it.
    """

    number: int
    address: str
    request: Any
    remote: Any
    opened: float = field(default_factory=time.monotonic)
    association: Any = None
    admitted: float | None = None
    progress: float = 0
    received: int = 0
    before: int = 0
    delivered: int = 0
    ended: bool = False
    _unparsed: int = 0

    def count(self, size: int) -> None:
        """Bytes have come; raises OSError where they are too many for one PDU."""
        self.received += size
        self._unparsed += size
        if self._unparsed > _MOST_PDU:
            msg = "a PDU is longer than agreed"
            raise OSError(msg)

    def parsed(self) -> None:
        """A PDU is whole."""
        self._unparsed = 0

    def advance(self) -> None:
        """A message is whole."""
        self.progress, self.before = time.monotonic(), self.received

    def admit(self) -> None:
        """It has a place."""
        self.admitted = time.monotonic()
        self.advance()

    @property
    def is_over(self) -> bool:
        """Has its association begun and ended?"""
        thread = self.association
        return thread is not None and thread.ident is not None and not thread.is_alive()

    def is_overdue(self, patience: Patience) -> bool:
        """Has it had its time?"""
        now = time.monotonic()
        if self.admitted is None:
            return now - self.opened > patience.request_seconds + patience.wait_seconds
        waiting, size = now - self.progress, self.received - self.before
        if not size:
            return waiting > patience.idle_seconds
        return waiting > patience.grace_seconds + size / patience.slowest

    @property
    def rate(self) -> float:
        """Bytes a second, since it has its place."""
        return self.received / max(time.monotonic() - (self.admitted or self.opened), 1e-3)

    def end(self) -> None:
        """Close the connection; whoever waits for it wakes up."""
        self.ended = True
        with suppress(OSError):  # it is closed already
            self.request.shutdown(socket.SHUT_RDWR)


class PlainSocket(socket.socket):
    """A socket whose bytes are counted; it does not wait until its request is here."""

    peer: Peer | None = None

    def recv(self, *arguments: Any) -> bytes:
        data = super().recv(*arguments)
        if self.peer is not None:
            self.peer.count(len(data))
        return data

    def has_request(self) -> bool:
        """Is a request for an association here? Raises OSError where something else is, or the other side has left."""
        try:
            start = super().recv(_PEEKED, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        length = _length(start)
        return length is not None and len(start) >= min(length, _PEEKED)


class SecureSocket(ssl.SSLSocket):
    """The same over TLS, where nothing can be looked at without being taken."""

    peer: Peer | None = None
    held: bytes = b""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        if self.held:
            data, self.held = self.held[:buflen], self.held[buflen:]
            return data
        data = super().recv(buflen, flags)
        if self.peer is not None:
            self.peer.count(len(data))
        return data

    def pending(self) -> int:
        return len(self.held) + super().pending()

    def has_request(self) -> bool:
        """As of `PlainSocket`; the handshake goes on meanwhile."""
        try:
            self.do_handshake()
            while (length := _length(self.held, more=True)) is None or len(self.held) < length:
                data = super().recv(4096)
                if not data:
                    raise ConnectionResetError
                self.held += data
                if self.peer is not None:
                    self.peer.count(len(data))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        return True


def _length(start: bytes, *, more: bool = False) -> int | None:
    """Bytes of the PDU that begins so; None: not yet known. Raises OSError where it is no request."""
    if not start and not more:
        raise ConnectionResetError
    if start and start[0] != _REQUEST:
        msg = "no request for an association"
        raise OSError(msg)
    length = int.from_bytes(start[2:6], "big") + 6 if len(start) >= 6 else None
    if length is not None and length > _MOST_PDU:
        msg = "a request longer than any"
        raise OSError(msg)
    return length
