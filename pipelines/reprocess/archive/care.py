"""Outputs of an archive that are gone, were changed, or could not be made: found, and made again by `reprocess`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.outputs.stored import failed_rules
from pipelines.problems import CommandError, ExitCode
from pipelines.reprocess.archive.outputs import Published
from pipelines.reprocess.archive.store import MANIFEST, Store
from pipelines.reprocess.ledger.ledger import Ledger, Row, State
from pipelines.reprocess.ledger.reasons import OF_OLDER_VERSIONS


class Fault(BaseModel):
    """A file of a finished job that is not as it was written."""

    model_config = ConfigDict(extra="forbid")

    case: str
    key: str
    file: str
    fault: Literal["missing", "changed"]


class VerifyRecord(BaseModel):
    """One run of `healthytwin verify`."""

    model_config = ConfigDict(extra="forbid")

    schema_version: str = "1.0"
    archive: str
    jobs: int = Field(description="that are done")
    faults: list[Fault]

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        if not self.jobs:
            return ExitCode.NOTHING_FOUND
        return ExitCode.SOME_FAILED if self.faults else ExitCode.DONE


def to_make_again(store: Store, done: Iterable[Row]) -> set[str]:
    """Keys of done jobs whose outputs are not all there, or can perhaps be made now that the software is another.

    Contents are not read: `verify` does that.
    """
    return {row["key"] for row in done if not _is_there(store, row) or _may_be_made(store, row)}


def verify(store: Store, done: Iterable[Row]) -> list[Fault]:
    """Compare every file of finished jobs with its SHA-256 in `job.json`; what is not whole, `reprocess` makes again.

    Args:
        store: of the archive.
        done: jobs that are done.

    Returns:
        Every file that is missing, changed, or not in the manifest.
    """
    faults: list[Fault] = []
    for row in done:
        found = [Fault(case=row["name"], key=row["key"], file=name, fault=fault) for name, fault in store.faults(row)]
        if found:
            store.unseal(row["key"])
        faults += found
    return faults


def where(ledger: Ledger, cases: Iterable[str]) -> list[dict[str, Any]]:
    """Which study and series cases come from.

    Args:
        ledger: of the archive, which alone knows it.
        cases: their names, or beginnings of jobs' keys.

    Raises:
        CommandError: a case is named that the ledger does not know.
    """
    found: list[dict[str, Any]] = []
    for case in cases:
        rows = ledger.rows(keys=[case])
        if not rows:
            msg = f"{case}: no such case in this archive"
            raise CommandError(msg)
        names = ("study", "series", "sequence", "voxel_mm", "slices", "state")
        found += [{"case": row["name"], "key": row["key"], **{name: row[name] for name in names}} for row in rows]
    return found


def release_older(ledger: Ledger) -> int:
    """Let cases be tried again whose results older versions threw away for want of a DICOM object; how many."""
    rows = [row for row in ledger.rows(State.QUARANTINED) if row["code"] in OF_OLDER_VERSIONS]
    return ledger.release(rows)


def _is_there(store: Store, row: Row) -> bool:
    folder = store.place(row["key"])
    return all((folder / name).is_file() for name in (MANIFEST, *(row["outputs"] or {}).values()))


def _may_be_made(store: Store, row: Row) -> bool:
    if not failed_rules(row["flags"] or ()):
        return False
    folder = store.place(row["key"])
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return bool(Published(folder=folder, manifest=manifest).failed)
    except (OSError, ValueError, KeyError):
        return True
