"""What a worker process starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.reprocess.site import Site


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a worker process starts from.

    Args:
        archive: its folder.
        bundle: its folder.
        site: rules and limits.
        threads: of its network.
        debug: let libraries speak; they may name patients.
    """

    archive: Path
    bundle: Path
    site: Site
    threads: int = 1
    debug: bool = False


Target = Callable[[Any, Settings], None]
