"""Peers that take their time: each is closed in the end, and none keeps another one out."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from archive import dicom_series
from pydicom import dcmread
from pynetdicom import AE

from pipelines.pacs.peers import Patience
from pipelines.pacs.receive import Receiver
from tests.attack.crowd import request

MR = "1.2.840.10008.5.1.4.1.1.4"
PATIENCE = Patience(
    pending=8,
    negotiating=4,
    associations=6,
    per_address=4,
    request_seconds=4,
    wait_seconds=4,
    idle_seconds=6,
    grace_seconds=4,
    slowest=5000,
    spared_seconds=0.3,
)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    receiver = Receiver(
        tmp_path / "inbox", title="HEALTHYTWIN", senders=["SCANNER"], address=("127.0.0.1", 0), patience=PATIENCE
    )
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture
def image(tmp_path: Path) -> Any:
    return dcmread(next(dicom_series(tmp_path / "scan").iterdir()))


@pytest.fixture(scope="module")
def start() -> bytes:
    return request()


def connect(receiver: Receiver, data: bytes = b"", *, source: str = "127.0.0.1") -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", receiver.port), timeout=5, source_address=(source, 0))
    peer.sendall(data)
    return peer


def send(receiver: Receiver, image: Any) -> int | None:
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(MR)
    association = entity.associate("127.0.0.1", receiver.port, ae_title="HEALTHYTWIN")
    if not association.is_established:
        return None
    status = association.send_c_store(image).get("Status")
    association.release()
    return status


def closed(peer: socket.socket, seconds: float = 60) -> bool:
    """Does the other side close the connection, whatever it says before?"""
    until = time.monotonic() + seconds
    peer.settimeout(0.5)
    while time.monotonic() < until:
        try:
            if not peer.recv(4096):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def nobody(receiver: Receiver) -> bool:
    until = time.monotonic() + 60
    while receiver._server.peers and time.monotonic() < until:
        time.sleep(0.05)
    return not receiver._server.peers


@pytest.mark.parametrize("begin", [lambda _: b"", lambda start: start[:4], lambda start: start[:-1]])
def test_half_open_connections_keep_nobody_out_and_are_closed(
    receiver: Receiver, image: Any, start: bytes, begin: Callable[[bytes], bytes]
) -> None:
    before = threading.active_count()
    crowd = [connect(receiver, begin(start)) for _ in range(60)]
    assert threading.active_count() - before < 60
    assert send(receiver, image) == 0
    assert all(closed(peer) for peer in crowd)
    assert nobody(receiver)
    for peer in crowd:
        peer.close()


@pytest.mark.parametrize(
    "after",
    [
        b"",  # nothing at all
        b"\x04\0\0\0\x10\0" + bytes(20),  # a PDU that is never whole
        b"\x04\0\x40\0\0\0" + bytes(20),  # one of a gigabyte
        b"\x04\0\0\0\0\x06\0\0\0\x02\x01\x01",  # a command that is never whole
        b"\x04\0\0\0\0\x06\0\0\0\x02\x01\x00",  # data without a command
        b"\xff" * 10,  # no PDU
    ],
)
def test_associations_that_go_nowhere_are_closed(receiver: Receiver, image: Any, start: bytes, after: bytes) -> None:
    peer = connect(receiver, start)
    assert peer.recv(1) == b"\x02"  # accepted
    peer.sendall(after)
    assert send(receiver, image) == 0
    assert closed(peer)
    assert nobody(receiver)
    peer.close()


def push(peer: socket.socket, data: bytes, *, pause: float = 0, most: int) -> int:
    """Send the same again and again until the other side has had enough, at most so many bytes; how many."""
    sent = 0
    with suppress(OSError):
        while sent < most:
            sent += peer.send(data)
            time.sleep(pause)
    return sent


def test_a_byte_at_a_time_is_too_slow(receiver: Receiver, start: bytes) -> None:
    peer = connect(receiver, start)
    assert peer.recv(1) == b"\x02"
    tiny = b"\x04\0\0\0\0\x06\0\0\0\x02\x01\x01"  # whole PDUs
    assert push(peer, tiny, pause=0.1, most=200 * len(tiny)) < 200 * len(tiny)
    assert nobody(receiver)
    peer.close()


def test_a_gigabyte_in_one_pdu_is_not_taken(receiver: Receiver, start: bytes) -> None:
    peer = connect(receiver, start)
    assert peer.recv(1) == b"\x02"
    peer.sendall(b"\x04\0\x40\0\0\0")
    assert push(peer, bytes(2**16), most=100_000_000) < 20_000_000
    peer.close()


def test_slow_peers_give_way(receiver: Receiver, image: Any, start: bytes) -> None:
    slow = [connect(receiver, start) for _ in range(4)]
    assert [peer.recv(1) for peer in slow] == [b"\x02"] * 4
    time.sleep(0.4)
    assert send(receiver, image) == 0
    for peer in slow:
        peer.close()


def test_one_address_cannot_take_all_places(receiver: Receiver, start: bytes) -> None:
    there = [connect(receiver, start, source="127.0.0.2") for _ in range(4)]
    assert [peer.recv(1) for peer in there] == [b"\x02"] * 4
    here = connect(receiver, start)
    assert here.recv(1) == b"\x02"
    held = [peer.address for peer in receiver._server.peers.values() if peer.admitted and not peer.ended]
    assert held.count("127.0.0.2") == 4
    for peer in (*there, here):
        peer.close()


def test_who_delivers_keeps_the_place(receiver: Receiver, image: Any, start: bytes) -> None:
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(MR)
    association = entity.associate("127.0.0.1", receiver.port, ae_title="HEALTHYTWIN")
    assert association.send_c_store(image).Status == 0
    crowd = [connect(receiver, start) for _ in range(12)]
    time.sleep(0.8)
    assert association.send_c_store(image).Status == 0
    association.release()
    for peer in crowd:
        peer.close()


def test_a_listener_that_stops_waits_for_nobody(tmp_path: Path, start: bytes) -> None:
    receiver = Receiver(tmp_path / "in", title="HEALTHYTWIN", senders=["SCANNER"], address=("127.0.0.1", 0))
    receiver.start()
    peers = [connect(receiver), connect(receiver, start[:9]), connect(receiver, start)]
    assert peers[2].recv(1) == b"\x02"
    before = time.monotonic()
    receiver.stop()
    assert time.monotonic() - before < 15
    assert all(closed(peer) for peer in peers)
    assert not [one for one in threading.enumerate() if "Acceptor" in one.name and one.is_alive()]
    for peer in peers:
        peer.close()
