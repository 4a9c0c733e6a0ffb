"""Passwords stay with the origin they are for, whatever a service redirects to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from pipelines.pacs.web import Bounds, Session
from tests.attack.evil_web import Answer, Service, running


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login doctor password secret\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def other() -> Iterator[Service]:
    """Another service of the same machine; it tells what it was asked with."""
    service = Service()
    service.handle = lambda handler: (  # type: ignore[method-assign]
        service.seen.append({name.lower(): value for name, value in handler.headers.items()}),
        Answer(handler, []).begin()(b"there"),
    )
    with running(service):
        yield service


@pytest.fixture
def service(other: Service) -> Iterator[Service]:
    """A service that redirects: to the other one, or to itself."""
    service = Service()

    def handle(handler) -> None:
        service.seen.append({name.lower(): value for name, value in handler.headers.items()})
        if handler.path.endswith("/end"):
            Answer(handler, []).begin()(b"here")
            return
        place = f"{other.url}/end" if handler.path.endswith("/away") else f"{service.url}/end"
        Answer(handler, []).begin(status=307, Location=place, Set_Cookie="session=secret")

    service.handle = handle  # type: ignore[method-assign]
    with running(service):
        yield service


def test_another_port_gets_neither_password_nor_cookie(netrc: None, service: Service, other: Service) -> None:
    session = Session(Bounds())
    for _ in range(2):
        assert session.get(f"{service.url}/away", timeout=5).content == b"there"
    assert all(one["authorization"].startswith("Basic ") for one in service.seen)
    assert service.seen[1]["cookie"] == "session=secret"
    for one in other.seen:
        assert "authorization" not in one
        assert "cookie" not in one
        assert one["host"] == other.url.split("/")[2]


def test_the_same_origin_gets_both(netrc: None, service: Service) -> None:
    assert Session(Bounds()).get(f"{service.url}/again", timeout=5).content == b"here"
    assert service.seen[1]["authorization"] == service.seen[0]["authorization"]
    assert service.seen[1]["cookie"] == "session=secret"


def test_nothing_that_is_sent_goes_elsewhere(netrc: None, service: Service, other: Service) -> None:
    with pytest.raises(requests.RequestException, match="another origin"):
        Session(Bounds()).post(f"{service.url}/away", data=b"a patient", timeout=5)
    assert other.seen == []
