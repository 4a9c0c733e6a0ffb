"""`Cache`: results kept under what they were made from, so that nothing is made twice."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_prep.files import PARTIAL, atomically


class Cache:
    """A folder of files whose names are hashes of their origin. It can be deleted at any time.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{PARTIAL}*"):
            left.unlink()

    @staticmethod
    def key(*origin: Any) -> str:
        """A name for what is made from `origin`, which JSON can hold."""
        return hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:32]

    def path(self, key: str, suffix: str) -> Path:
        """Where a result lies, or would lie."""
        return self.folder / f"{key}{suffix}"

    def keep(self, key: str, suffix: str, write: Callable[[Path], object]) -> Path:
        """A result, made by `write` where it is not there; a reader never sees a part of it."""
        path = self.path(key, suffix)
        if not path.is_file():
            with atomically(path) as partial:
                write(partial)
        return path

    def facts(self, key: str) -> dict[str, Any] | None:
        """What `note` wrote; None where it did not, or not wholly."""
        try:
            facts: dict[str, Any] = json.loads(self.path(key, ".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return facts

    def note(self, key: str, facts: dict[str, Any]) -> None:
        """Keep facts about a result; written last, it says that the result is whole."""
        self.path(key, ".json").unlink(missing_ok=True)
        self.keep(key, ".json", lambda partial: partial.write_text(json.dumps(facts), encoding="utf-8"))


def place(source: Path, target: Path) -> None:
    """The file under another name: a hard link, or a copy where the disk has none."""
    if target.exists() and os.path.samefile(source, target):
        return
    with atomically(target) as partial:
        try:
            partial.unlink()
            os.link(source, partial)
        except OSError:
            shutil.copyfile(source, partial)
