"""Half-open and slow peers of a C-STORE listener on loopback: `python -m tests.attack.crowd PORT HALF_OPEN SLOW`.

They end when they are told to, or with the process that started them, and after a quarter of an hour in any case.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import threading
import time

from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE

MR = "1.2.840.10008.5.1.4.1.1.4"
MOST_SECONDS = 900


def request() -> bytes:
    """What an honest sender begins with, as anyone can overhear it."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as ear:

        def listen() -> None:
            with ear.accept()[0] as peer:
                heard.append(peer.recv(2**16))

        thread = threading.Thread(target=listen)
        thread.start()
        entity = AE(ae_title="SCANNER")
        entity.acse_timeout = 5
        entity.add_requested_context(MR, ImplicitVRLittleEndian)
        entity.associate("127.0.0.1", ear.getsockname()[1], ae_title="HEALTHYTWIN")
        thread.join()
    return heard[0]


def half_open(port: int, stop: threading.Event, start: bytes, way: int) -> None:
    """Connect, say nothing or the beginning of something, and begin anew where that is cut off."""
    while not stop.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
                peer.settimeout(0.5)
                peer.sendall((b"", start[:3], start[:-1], b"GET / HTTP/1.1\r\n\r\n", b"\1\0\xff\xff\xff\xff")[way % 5])
                while not stop.is_set():
                    try:
                        if not peer.recv(1000):
                            break
                    except TimeoutError:
                        continue
        except OSError:
            pass
        stop.wait(0.2 + random.random() / 2)


def slow(port: int, stop: threading.Event, start: bytes, way: int) -> None:
    """Ask for an association as the honest sender does, and then send an image a byte at a time."""
    data = (
        b"\x04\0\0\0\x10\0" + bytes(20),  # one PDU, never whole
        b"\x04\0\0\0\0\x06\0\0\0\x02\x01\x01" * 50,  # whole PDUs of a byte, of a command that never ends
        b"\x04\0\x40\0\0\0" + bytes(20),  # a PDU of a gigabyte
        b"",
    )[way % 4]
    while not stop.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
                peer.settimeout(10)
                peer.sendall(start)
                peer.recv(4096)
                for byte in data:
                    peer.sendall(bytes([byte]))
                    if stop.wait(0.3):
                        return
                while not stop.wait(0.5):
                    peer.sendall(b"\0")
        except OSError:
            pass
        stop.wait(0.2 + random.random() / 2)


def main(port: int, half_opens: int, slows: int) -> None:
    """All of them at once."""
    start, parent = request(), os.getppid()
    stop = threading.Event()
    for kind, number in ((half_open, half_opens), (slow, slows)):
        for way in range(number):
            threading.Thread(target=kind, args=(port, stop, start, way), daemon=True).start()
    until = time.monotonic() + MOST_SECONDS
    while os.getppid() == parent and time.monotonic() < until:
        time.sleep(0.5)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
