"""Ledgers of every earlier version brought to this one; a newer one is refused before anything is written to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, inspect, select, text

from pipelines.problems import CommandError
from pipelines.reprocess.ledger.tables import SCHEMA, jobs, metadata, settings

# From one version to the next. Tables that are missing are made in any case; what a step changes is one of those there.
STEPS: Mapping[str, tuple[str, ...]] = {
    "1": ("ALTER TABLE jobs ADD COLUMN appearance JSON",),
}


def check(url: str, engine: Engine) -> None:
    """See whether a ledger is one that this program can use, and write nothing.

    Args:
        url: of SQLAlchemy.
        engine: of the same.

    Raises:
        CommandError: it is newer than this program, or no ledger at all.
    """
    if not url.startswith("sqlite"):
        with engine.begin() as connection:
            _version(connection)
        return
    path = Path(engine.url.database or "")
    if not path.is_file() or not path.stat().st_size:
        return
    reader = create_engine(f"sqlite:///file:{quote(str(path.resolve()))}?mode=ro&uri=true")
    try:
        with reader.begin() as connection:
            _version(connection)
    finally:
        reader.dispose()


def bring_up_to_date(connection: Connection) -> None:
    """Make the tables that are missing, and take every step from the version that is there to this one.

    Args:
        connection: of a transaction that no other one of this kind runs beside.

    Raises:
        CommandError: as of `check`.
    """
    version = _version(connection)
    metadata.create_all(connection)
    if not version:
        connection.execute(settings.insert().values(name="schema", value=SCHEMA))
        return
    while version != SCHEMA:
        for statement in STEPS[version]:
            connection.execute(text(statement))
        version = str(int(version) + 1)
        connection.execute(settings.update().where(settings.c.name == "schema").values(value=version))


def _version(connection: Connection) -> str:
    """Of the ledger that is there; "" where there is none yet."""
    tables = inspect(connection).get_table_names()
    if settings.name not in tables:
        if jobs.name in tables:
            msg = "the database holds a table `jobs` that is no ledger's; give the ledger a database of its own"
            raise CommandError(msg)
        return ""
    version = connection.scalar(select(settings.c.value).where(settings.c.name == "schema"))
    if version is None:
        return ""
    if version != SCHEMA and version not in STEPS:
        msg = f"the ledger is of version {version}, this program knows those up to {SCHEMA}; update healthytwin"
        raise CommandError(msg)
    return str(version)
