"""Ledgers as earlier versions made them are brought up to date; newer ones and other databases are left untouched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from archive import claimed, job

from pipelines.problems import CommandError
from pipelines.reprocess.ledger.ledger import FILE, Ledger, State
from pipelines.reprocess.ledger.schema import STEPS
from pipelines.reprocess.ledger.tables import SCHEMA, metadata

SCHEMAS = Path(__file__).parent / "schemas"  # dumps of ledgers with two jobs, made by the commits that had the schema


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "archive").mkdir()
    return tmp_path / "archive"


def restore(dump: Path, archive: Path) -> None:
    connection = sqlite3.connect(archive / FILE)
    connection.executescript(dump.read_text())
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


@pytest.mark.parametrize("dump", sorted(SCHEMAS.glob("*.sql")), ids=lambda dump: dump.stem)
def test_a_ledger_of_every_earlier_version_goes_on(archive: Path, dump: Path) -> None:
    restore(dump, archive)
    ledger = Ledger.of(archive)
    assert ledger.setting("schema") == SCHEMA
    assert [(row["state"], row["score"], row["appearance"]) for row in ledger.rows()] == [
        ("done", 0.5, None),
        ("quarantined", None, None),
    ]
    assert [attempt["outcome"] for attempt in ledger.history()] == ["done"]
    ledger.enter(job("d"))
    result = {"score": 0.1, "appearance": {"spread": 1.0}}
    ledger.finish(claimed(ledger, "d"), result, lambda: None)
    assert ledger.rows(State.DONE)[-1]["appearance"] == {"spread": 1.0}
    ledger.close()
    again = Ledger.of(archive)  # a second start changes nothing
    assert len(again.rows()) == 3
    again.close()


def test_a_migrated_ledger_has_every_column_of_a_new_one(archive: Path) -> None:
    restore(SCHEMAS / "1.sql", archive)
    Ledger.of(archive).close()
    connection = sqlite3.connect(archive / FILE)
    for table in metadata.sorted_tables:
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")}
        assert columns == {column.name for column in table.columns}, table.name
    connection.close()


def test_every_earlier_version_has_a_step_and_a_dump() -> None:
    versions = [str(number) for number in range(1, int(SCHEMA))]
    assert sorted(STEPS) == versions
    assert {dump.stem.partition("-")[0] for dump in SCHEMAS.glob("*.sql")} == {*versions, SCHEMA}


@pytest.mark.parametrize("version", [str(int(SCHEMA) + 1), "99", "of another program"])
def test_a_newer_ledger_is_refused_untouched(archive: Path, version: str) -> None:
    restore(SCHEMAS / "2.sql", archive)
    connection = sqlite3.connect(archive / FILE)
    connection.execute("UPDATE settings SET value = ? WHERE name = 'schema'", (version,))
    connection.execute("DROP TABLE deliveries")  # as a newer version may have no use for it
    connection.commit()
    connection.close()
    before = (archive / FILE).read_bytes()
    with pytest.raises(CommandError, match=f"of version {version}, .*update healthytwin"):
        Ledger.of(archive)
    assert (archive / FILE).read_bytes() == before
    connection = sqlite3.connect(archive / FILE)
    assert "deliveries" not in {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()


def test_a_database_of_another_program_is_refused_untouched(archive: Path) -> None:
    connection = sqlite3.connect(archive / FILE)
    connection.execute("CREATE TABLE jobs (salary REAL)")
    connection.close()
    before = (archive / FILE).read_bytes()
    with pytest.raises(CommandError, match="a database of its own"):
        Ledger.of(archive)
    assert (archive / FILE).read_bytes() == before


def test_what_is_no_database_is_refused(archive: Path) -> None:
    (archive / FILE).write_text("no database, but longer than the header of one: " + "x" * 100)
    with pytest.raises(CommandError, match="not a database"):
        Ledger.of(archive)
