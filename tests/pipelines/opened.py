"""How often files are opened, counted by Python's own audit of `open`."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_counters: list[Counter[str]] = []
_last = threading.local()  # `.path`: of this thread's last `open`, whose opener may call `os.open` next: the same open


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _counters or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    path, by_opener = os.path.realpath(os.fsdecode(arguments[0])), arguments[1] is None
    if not (by_opener and getattr(_last, "path", None) == path):
        for counter in _counters:
            counter[path] += 1
    _last.path = None if by_opener else path


sys.addaudithook(_hook)


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Opens by path, while the body runs in this process."""
    counter: Counter[str] = Counter()
    _counters.append(counter)
    try:
        yield counter
    finally:
        _counters.remove(counter)


def opens_below(counter: Counter[str], folder: Path) -> dict[str, int]:
    """The number of opens of every file below a folder."""
    inside = os.path.realpath(folder) + os.sep
    return {path.removeprefix(inside): number for path, number in counter.items() if path.startswith(inside)}
