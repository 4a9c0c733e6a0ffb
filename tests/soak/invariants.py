"""What must be true of an archive once its last run has ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from pipelines.reprocess.archive.store import CASES, PARTIAL, Store
from pipelines.reprocess.ledger.ledger import Ledger, State


@dataclass(frozen=True, kw_only=True)
class Count:
    """What a soak found; all but `done` and `attempts` must be 0.

    Args:
        done: jobs that are done and whole.
        lost: jobs that should be done and are not.
        twice: jobs with more than one successful attempt.
        partial: jobs whose outputs are not whole, and folders that belong to no job.
        leftovers: temporary folders.
        doubled: SOPInstanceUIDs that two files have.
        attempts: leases in all.
    """

    done: int
    lost: int
    twice: int
    partial: int
    leftovers: int
    doubled: int
    attempts: int

    @property
    def clean(self) -> bool:
        """Was nothing lost, done twice or left in part?"""
        return not (self.lost or self.twice or self.partial or self.leftovers or self.doubled)


def count(archive: Path, expected: int, *, url: str | None = None) -> Count:
    """Look at every job and every file of an archive.

    Args:
        archive: its folder.
        expected: jobs that should be done.
        url: of its ledger; None: the file in it.
    """
    ledger, store = Ledger.of(archive, url), Store(archive)
    done = ledger.rows(State.DONE)
    history = ledger.history()
    successes = Counter(attempt["key"] for attempt in history if attempt["outcome"] == "done")
    whole = [row for row in done if (found := store.published(row["key"])) and found["result"]["score"] == row["score"]]
    strangers = {path.name for path in (archive / CASES).iterdir()} - {row["key"][:20] for row in done}
    uids = Counter(dcmread(path).SOPInstanceUID for path in (archive / CASES).rglob("*.dcm"))
    ledger.close()
    return Count(
        done=len(whole),
        lost=expected - len(done),
        twice=sum(number > 1 for number in successes.values()) + len(done) - len(successes),
        partial=len(done) - len(whole) + len(strangers),
        leftovers=len(list((archive / PARTIAL).iterdir())),
        doubled=sum(number > 1 for number in uids.values()),
        attempts=len(history),
    )
