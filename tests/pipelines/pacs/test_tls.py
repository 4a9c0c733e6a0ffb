"""DICOM over TLS: who shows what to whom, and what cannot be used."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archive import dicom_series
from certificates import authority, signed
from pydantic import ValidationError
from pydicom import dcmread

from pipelines.pacs.peers import Patience
from pipelines.pacs.receive import Receiver
from pipelines.pacs.targets import StoreNode, StoreTarget, UnreachableError
from pipelines.pacs.tls import Tls
from pipelines.problems import CommandError
from pipelines.reprocess.site import load_site


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def ours(ca: Path) -> Tls:
    return signed(ca, "receiver")


@pytest.fixture(scope="module")
def theirs(ca: Path) -> Tls:
    return signed(ca, "scanner")


@pytest.fixture
def receiver(tmp_path: Path, ours: Tls) -> Iterator[Receiver]:
    receiver = Receiver(
        tmp_path / "inbox",
        title="HEALTHYTWIN",
        senders=["SCANNER"],
        address=("127.0.0.1", 0),
        tls=ours,
        patience=Patience(request_seconds=1),
    )
    receiver.start()
    yield receiver
    receiver.stop()


def target(receiver: Receiver, tls: Tls | None) -> StoreTarget:
    node = StoreNode(host="127.0.0.1", port=receiver.port, title="HEALTHYTWIN", calling_title="SCANNER", tls=tls)
    return StoreTarget(node, timeout=10)


@pytest.fixture
def images(tmp_path: Path) -> list[Any]:
    return [dcmread(path) for path in sorted(dicom_series(tmp_path / "scan").iterdir())]


def test_images_go_over_tls(receiver: Receiver, theirs: Tls, images: list[Any]) -> None:
    assert all(answer.accepted for answer in target(receiver, theirs).send(images).values())
    assert len(list(receiver.inbox.rglob("*.dcm"))) == len(images)


def test_who_shows_no_certificate_or_a_strange_one_sends_nothing(
    receiver: Receiver, ca: Path, tmp_path: Path, images: list[Any]
) -> None:
    stranger = signed(authority(tmp_path / "other"), "stranger").model_copy(update={"ca": ca})
    for tls in (None, Tls(ca=ca), stranger):
        with pytest.raises(UnreachableError):
            target(receiver, tls).send(images[:1])
    assert list(receiver.inbox.rglob("*.dcm")) == []


def test_a_listener_with_a_strange_certificate_or_name_gets_nothing(
    receiver: Receiver, theirs: Tls, tmp_path: Path, images: list[Any]
) -> None:
    other = theirs.model_copy(update={"ca": authority(tmp_path / "other")})
    with pytest.raises(UnreachableError):
        target(receiver, other).send(images[:1])
    elsewhere = target(receiver, theirs)
    elsewhere.node = elsewhere.node.model_copy(update={"host": "127.0.0.2"})  # the certificate is for 127.0.0.1
    with pytest.raises(UnreachableError):
        elsewhere.send(images[:1])
    assert list(receiver.inbox.rglob("*.dcm")) == []


def test_a_handshake_that_is_never_finished_keeps_nobody_out(
    receiver: Receiver, theirs: Tls, images: list[Any]
) -> None:
    half = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(40)]
    for one in half:
        one.sendall(b"\x16\x03\x01")
    begin = time.monotonic()
    assert all(answer.accepted for answer in target(receiver, theirs).send(images[:1]).values())
    assert time.monotonic() - begin < 20
    until = time.monotonic() + 30
    while receiver._server.peers and time.monotonic() < until:
        time.sleep(0.1)
    assert receiver._server.peers == {}
    for one in half:
        one.close()


def test_files_that_cannot_be_used_are_named(ca: Path, ours: Tls, tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(CommandError, match=r"bad\.pem"):
        Tls(certificate=tmp_path / "bad.pem", key=ours.key).listener()
    with pytest.raises(CommandError, match=r"missing.pem.*No such file"):
        Tls(ca=tmp_path / "missing.pem").caller()
    with pytest.raises(CommandError, match=r"receiver\.pem"):
        Tls(certificate=ours.certificate, key=ca.with_suffix(".key")).listener()
    with pytest.raises(CommandError, match="needs a certificate"):
        Tls(ca=ca).listener()
    with pytest.raises(ValidationError, match="both certificate and key"):
        Tls(certificate=ours.certificate)


def test_the_site_file_and_the_options_name_certificates(healthytwin: Any, ours: Tls, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(f"receive: {{tls: {{certificate: {ours.certificate}, key: {ours.key}, ca: {ours.ca}}}}}\n")
    assert load_site(path).receive.tls == ours
    (tmp_path / "bad.yaml").write_text("receive: {tls: {certificate: nowhere.pem, key: nowhere.key}}\n")
    for options in (
        ["--site", tmp_path / "bad.yaml"],
        ["--tls-certificate", "nowhere.pem", "--tls-key", "nowhere.key"],
    ):
        told = healthytwin("receive", tmp_path / "inbox", "--allow", "A", *options)
        assert told.exit_code == 2
        assert "nowhere.pem: cannot be used for TLS" in told.stderr
    told = healthytwin("receive", tmp_path / "inbox", "--allow", "A", "--tls-key", "nowhere.key")
    assert (told.exit_code, "go together" in told.stderr) == (2, True)
