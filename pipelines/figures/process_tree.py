"""Memory of a process and all that it has started, as shares (PSS): what processes share is counted once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

_PROC = Path("/proc")


class TreeMemory(threading.Thread):
    """Looks now and then at how much a process tree takes, and how far its work is.

    Args:
        pid: the process.
        progress: how much is done; called before each look.
        pause: seconds between two looks.
    """

    def __init__(self, pid: int, progress: Callable[[], int], *, pause: float = 0.5) -> None:
        super().__init__(daemon=True)
        self.looks: list[tuple[int, float]] = []  # how much was done, and MiB of the tree
        self._pid, self._progress, self._pause = pid, progress, pause
        self._over = threading.Event()
        self.start()

    def end(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()

    def peak(self, until: int, *, after: int = -1) -> float:
        """The most MiB that were seen once more than `after` and until so much was done; 0 where nobody looked."""
        return max((mib for done, mib in self.looks if after < done <= until), default=0.0)

    def run(self) -> None:
        """Body of the thread."""
        while not self._over.wait(self._pause):
            done = self._progress()
            self.looks.append((done, sum(map(_pss_mib, tree(self._pid)))))


def tree(pid: int) -> list[int]:
    """A process and all that it has started, directly or not."""
    found, fresh = [pid], [pid]
    while fresh:
        fresh = [child for parent in fresh for child in _children(parent)]
        found += fresh
    return found


def _children(pid: int) -> list[int]:
    """Of any of its threads; none where it has ended."""
    try:
        return [int(word) for path in (_PROC / str(pid) / "task").iterdir() for word in _words(path / "children")]
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _pss_mib(pid: int) -> float:
    lines = _words(_PROC / str(pid) / "smaps_rollup")
    return int(lines[lines.index("Pss:") + 1]) / 1024 if "Pss:" in lines else 0.0
