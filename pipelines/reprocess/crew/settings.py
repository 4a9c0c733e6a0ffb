"""What a worker process starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.reprocess.site import Site
from pipelines.reprocess.source import Root


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a worker process starts from.

    Args:
        archive: its folder.
        bundle: its folder.
        site: rules and limits.
        threads: of its network.
        debug: let libraries speak; they may name patients.
        source: of the cases; None: what DICOMweb gave.
    """

    archive: Path
    bundle: Path
    site: Site
    threads: int = 1
    debug: bool = False
    source: Root | None = None


Target = Callable[[Any, Settings], None]
