"""How much memory a piece of work takes at most."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS = Path("/proc/self/status")
_EVERY = 0.02  # seconds between two looks


class Peak:
    """The largest size of this process in MiB while it was watched; None where the system does not tell."""

    mib: int | None = None

    def look(self) -> None:
        """Remember the size, if it is the largest so far."""
        if _STATUS.is_file():
            now = int(_STATUS.read_text().partition("VmRSS:")[2].split()[0]) // 1024
            self.mib = max(now, self.mib or 0)


@contextmanager
def watching() -> Iterator[Peak]:
    """Watch the size of this process from a thread of its own, until the block ends."""
    peak, over = Peak(), threading.Event()

    def watch() -> None:
        while not over.wait(_EVERY):
            peak.look()

    peak.look()
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()
        peak.look()


def peak_mib() -> int:
    """The largest size of this process so far in MiB (`VmHWM`; `ru_maxrss` is inherited over exec)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024
