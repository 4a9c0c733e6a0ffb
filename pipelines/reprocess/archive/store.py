"""`Store`: an archive's folder, in which a case's outputs are either all there or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pipelines.machine.files import sync
from pipelines.reprocess.ledger.ledger import Lease

CASES, PARTIAL, MANIFEST = "cases", ".partial", "job.json"
_ID = 20  # characters of a job's key that name its folder


class Store:
    """Outputs are written to a folder of their own, synced, and renamed to their place as one.

    Args:
        root: the archive; its folders are made where they are missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in (CASES, PARTIAL):
            (root / name).mkdir(exist_ok=True)

    def place(self, key: str) -> Path:
        """Where the outputs of a job belong."""
        return self.root / CASES / key[:_ID]

    def begin(self, lease: Lease) -> Path:
        """An empty folder for what a lease's worker writes; no other lease has the same."""
        folder = self.root / PARTIAL / _partial_name(lease)
        self.discard(lease)
        folder.mkdir()
        return folder

    def discard(self, lease: Lease) -> None:
        """Remove what a lease's worker has written and not published."""
        shutil.rmtree(self.root / PARTIAL / _partial_name(lease), ignore_errors=True)

    def seal(self, folder: Path, content: Mapping[str, Any]) -> dict[str, Any]:
        """Write the manifest, which names every file with its SHA-256, and bring all of it to the disk.

        Args:
            folder: of `begin`, with all outputs.
            content: what else the manifest says.

        Returns:
            The manifest.
        """
        paths = sorted(path for path in folder.iterdir() if path.is_file())
        manifest = {**content, "files": {path.name: _digest(path) for path in paths}}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        for path in (*paths, folder / MANIFEST, folder):
            sync(path)
        return manifest

    def publish(self, lease: Lease) -> None:
        """Rename a sealed folder to its place, and bring that to the disk."""
        source, target = self.root / PARTIAL / _partial_name(lease), self.place(lease.key)
        if target.exists():
            target.rename(source.with_name(f"{source.name}.old"))
        source.rename(target)
        sync(target.parent)
        shutil.rmtree(source.with_name(f"{source.name}.old"), ignore_errors=True)

    def published(self, key: str) -> dict[str, Any] | None:
        """The manifest of a job whose outputs are in their place and whole; None otherwise."""
        folder = self.place(key)
        try:
            manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            whole = all(_digest(folder / name) == digest for name, digest in manifest["files"].items())
        except (OSError, ValueError, KeyError):
            return None
        return manifest if whole and manifest.get("key") == key else None

    def faults(self, row: Mapping[str, Any]) -> list[tuple[str, Literal["missing", "changed"]]]:
        """The files of a finished job that are `missing` or `changed`, by the hashes of its manifest."""
        folder = self.place(row["key"])
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            files: dict[str, str] = dict(manifest["files"])
        except OSError:
            return [(MANIFEST, "missing")]
        except (ValueError, KeyError, TypeError):
            return [(MANIFEST, "changed")]
        faults: list[tuple[str, Literal["missing", "changed"]]] = []
        faults += [(MANIFEST, "changed")] if manifest.get("key") != row["key"] else []
        for name in dict.fromkeys([*files, *(row["outputs"] or {}).values()]):
            path = folder / name
            if not path.is_file():
                faults.append((name, "missing"))
            elif _digest(path) != files.get(name):
                faults.append((name, "changed"))
        return faults

    def unseal(self, key: str) -> None:
        """Take the manifest of a job away, whose outputs are to be made again; where that may not be, leave it."""
        with suppress(OSError):
            (self.place(key) / MANIFEST).rename(self.place(key) / f"{MANIFEST}.damaged")

    def partials(self) -> list[str]:
        """Names of all folders that are being written, or were when their worker ended."""
        return sorted(os.listdir(self.root / PARTIAL))

    def sweep(self, names: Iterable[str], leases: Iterable[Lease]) -> int:
        """Remove those folders that belong to no lease; how many.

        Args:
            names: of `partials`, taken before the leases, so that none is younger than they are.
            leases: all that are held.
        """
        kept = {_partial_name(lease) for lease in leases}
        orphans = [name for name in names if name.removesuffix(".old") not in kept]
        for name in orphans:
            shutil.rmtree(self.root / PARTIAL / name, ignore_errors=True)
        return len(orphans)

    def free_gb(self) -> float:
        """What is free on the archive's disk, in gigabytes."""
        return shutil.disk_usage(self.root).free / 1e9


def _partial_name(lease: Lease) -> str:
    return f"{lease.key[:_ID]}.{lease.token}"


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
