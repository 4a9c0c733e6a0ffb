"""How many processes this computer is given."""

from __future__ import annotations

import os


def default_workers() -> int:
    """Processes that pay when headers are read."""
    return min(os.cpu_count() or 1, 8)
