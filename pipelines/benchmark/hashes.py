"""What a result was made from, as a short text that changes with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def short_hash(origin: Any) -> str:
    """Sixteen hexadecimal digits for what JSON can hold (what it cannot counts by its text)."""
    return hashlib.sha256(json.dumps(origin, sort_keys=True, default=str).encode()).hexdigest()[:16]


def stamps(places: Iterable[str | Path]) -> list[tuple[str, int, int]]:
    """Name, size and time of change of the files at some places, without reading them.

    Args:
        places: files; folders of a DICOM series; places in a zip archive, or of one series among several in a folder,
            for which the archive or folder stands.
    """
    found = []
    for place in map(Path, places):
        there = next((path for path in (place, *place.parents) if path.exists()), place)
        for path in sorted(there.iterdir()) if there.is_dir() else [there]:
            status = path.stat()
            found.append((str(path), status.st_size, status.st_mtime_ns))
    return found
