"""HTTP for DICOMweb: answers within a budget of bytes and seconds, and passwords for one origin alone."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from functools import partial
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import requests
from dicomweb_client.api import DICOMwebClient
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_PORTS = {"http": 80, "https": 443}
_SECRETS = ("Authorization", "Cookie", "Host")  # Host: dicomweb_client sets that of the first origin


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Of one answer, its header included.

    Args:
        most_bytes: as it comes over the network.
        seconds: in all.
        grace: seconds after which it must have come at no less than `slowest`.
        slowest: bytes a second, on average.
    """

    most_bytes: int = 16_000_000
    seconds: float = 3600
    grace: float = 60
    slowest: float = 10_000

    def seconds_for(self, received: int) -> float:
        """How long an answer may have taken of which so many bytes are here."""
        return min(self.seconds, self.grace + received / self.slowest)


class OutOfBoundsError(OSError):
    """An answer is too large, or too slow."""


class Session(requests.Session):
    """A session of `requests` for one origin.

    A redirect to another origin (scheme, host, port) is followed without user name, password and cookies, and not at
    all from https to http, or with what was to be sent. `requests` itself looks into `~/.netrc` again for every host,
    and that file knows no ports.

    Args:
        bounds: of every answer.
    """

    def __init__(self, bounds: Bounds) -> None:
        super().__init__()
        self.headers["Accept-Encoding"] = "identity"
        for scheme in _PORTS:
            self.mount(f"{scheme}://", _Adapter(bounds))

    def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
        """Called by `requests` for every redirect."""
        before, after = _origin(response.request.url), _origin(prepared_request.url)
        if before == after:
            return
        if before[0] == "https" != after[0] or prepared_request.method not in ("GET", "HEAD"):
            msg = "the service redirects to another origin"
            raise requests.exceptions.InvalidURL(msg)
        for name in _SECRETS:
            prepared_request.headers.pop(name, None)


def web_client(url: str, *, timeout: float, session: Session | None = None) -> DICOMwebClient:
    """A DICOMweb client that tries once: what fails is tried again by the next run.

    Args:
        url: of the service; a user's name and password come from `~/.netrc`.
        timeout: seconds without a byte.
        session: None: one with the bounds for short answers.
    """
    client = DICOMwebClient(url=url, timeout=timeout, session=session or Session(Bounds()))
    client.set_http_retry_params(retry=False)
    return client


class _Adapter(HTTPAdapter):
    """Connections whose answers are bounded."""

    def __init__(self, bounds: Bounds) -> None:
        self._pools = _pools(bounds)
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def send(self, *arguments: Any, **options: Any) -> Any:
        """Compressed answers were not asked for, and how large they are shows only once they are unpacked."""
        response = super().send(*arguments, **options)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            response.close()
            msg = "a compressed answer"
            raise requests.exceptions.ContentDecodingError(msg)
        return response


def _pools(bounds: Bounds) -> dict[str, Any]:
    answer = staticmethod(partial(_Response, bounds=bounds))
    plain = type("Connection", (HTTPConnection,), {"response_class": answer})
    secure = type("SecureConnection", (HTTPSConnection,), {"response_class": answer})
    return {
        "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }


class _Response(HTTPResponse):
    """The standard library's answer, read through `_Stream`."""

    def __init__(self, sock: Any, *arguments: Any, bounds: Bounds, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Stream(sock, bounds))


class _Stream(io.RawIOBase):
    """What comes from a socket, until it was too much or took too long."""

    def __init__(self, sock: Any, bounds: Bounds) -> None:
        self._socket, self._raw, self._bounds = sock, sock.makefile("rb", buffering=0), bounds
        self._start, self._received, self._timeout = time.monotonic(), 0, sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._start + self._bounds.seconds_for(self._received) - time.monotonic()
        if left <= 0:
            msg = "the answer takes too long"
            raise OutOfBoundsError(msg)
        self._socket.settimeout(left if self._timeout is None else min(left, self._timeout))
        try:
            count: int | None = self._raw.readinto(buffer)
        except TimeoutError as error:
            msg = "the answer takes too long"
            raise OutOfBoundsError(msg) from error
        self._received += count or 0
        if self._received > self._bounds.most_bytes:
            msg = "the answer is too large"
            raise OutOfBoundsError(msg)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port (RFC 6454)."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme, 0)
