"""The ledger: jobs, leases with fencing, and what is remembered of a source."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from archive import claimed, job, state

from pipelines.problems import CommandError
from pipelines.reprocess.ledger.ledger import FILE, Lease, LeaseLostError, Ledger, State

RESULT = {"score": 0.5, "outputs": {"mask": "a_mask.nii.gz"}}


def test_commits_outlive_a_power_cut(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_a_job_is_entered_once_and_done_once(ledger: Ledger) -> None:
    assert ledger.enter(job()) is State.PENDING
    lease = claimed(ledger)
    assert ledger.enter(job()) is State.RUNNING
    ledger.finish(lease, RESULT, lambda: None)
    assert ledger.enter(job()) is State.DONE
    assert ledger.claim(job().key, "two") is None
    (row,) = ledger.rows()
    assert (row["score"], row["outputs"], row["attempts"], row["owner"]) == (0.5, RESULT["outputs"], 1, None)
    assert [attempt["outcome"] for attempt in ledger.history()] == ["done"]


def test_of_many_who_claim_one_gets_it(ledger: Ledger) -> None:
    ledger.enter(job())
    leases: list[Lease | None] = []
    threads = [threading.Thread(target=lambda: leases.append(ledger.claim(job().key, "x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([lease for lease in leases if lease is not None]) == 1


def test_a_lease_that_was_taken_over_can_do_nothing_any_more(ledger: Ledger) -> None:
    ledger.enter(job())
    old = claimed(ledger)
    assert ledger.fail(old, code="WORKER_DIED", reason="", most=3) is State.PENDING
    new = claimed(ledger, owner="two")
    assert new.token > old.token
    published: list[str] = []
    with pytest.raises(LeaseLostError):
        ledger.finish(old, RESULT, lambda: published.append("old"))
    assert ledger.fail(old, code="X", reason="", most=3) is None
    assert not ledger.give_back(old, code="X")
    assert not ledger.beat(old)
    assert state(ledger) is State.RUNNING
    ledger.finish(new, RESULT, lambda: published.append("new"))
    assert published == ["new"]


def test_nothing_is_done_where_publishing_fails(ledger: Ledger) -> None:
    ledger.enter(job())
    lease = claimed(ledger)

    def refuse() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        ledger.finish(lease, RESULT, refuse)
    assert state(ledger) is State.RUNNING
    assert ledger.rows()[0]["score"] is None


def test_attempts_are_counted_unless_the_job_is_not_to_blame(ledger: Ledger) -> None:
    ledger.enter(job())
    assert ledger.give_back(claimed(ledger), code="TARGET")
    assert ledger.fail(claimed(ledger), code="E", reason="r", most=2) is State.PENDING
    assert ledger.fail(claimed(ledger), code="E", reason="r", most=2) is State.QUARANTINED
    assert ledger.release(ledger.rows(State.QUARANTINED)) == 1
    (row,) = ledger.rows()
    assert (row["state"], row["attempts"], row["code"]) == ("pending", 0, None)


def test_what_has_left_its_source_is_withdrawn_and_comes_back(ledger: Ledger) -> None:
    for key in "abc":
        ledger.enter(job(key), code="NAN" if key == "c" else "")
    ledger.finish(claimed(ledger, "a"), RESULT, lambda: None)
    ledger.settle("s", "1", [key * 64 for key in "abc"], {"LOCALIZER": 2})
    assert ledger.snapshot("s") == ("1", {"LOCALIZER": 2})
    ledger.settle("s", "2", [], {})
    assert [state(ledger, key) for key in "abc"] == [State.DONE, State.WITHDRAWN, State.WITHDRAWN]
    assert ledger.enter(job("b")) is State.PENDING
    assert ledger.enter(job("c"), code="NAN") is State.QUARANTINED


def test_a_locked_ledger_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "held").mkdir()
    Ledger.of(tmp_path / "held").close()
    other = sqlite3.connect(tmp_path / "held" / FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(CommandError, match="another process holds it locked"):
        Ledger.of(tmp_path / "held", wait=0.2).enter(job())
    other.close()
    ledger = Ledger.of(tmp_path / "held", wait=0.2)
    assert ledger.enter(job()) is State.PENDING
    ledger.close()


def test_a_ledger_that_cannot_be_opened_is_told() -> None:
    with pytest.raises(CommandError, match="cannot be opened"):
        Ledger("no-such-database://x")
