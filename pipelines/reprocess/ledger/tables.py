"""The ledger's tables, and database engines that keep what they have committed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
)

SCHEMA = "2"
metadata = MetaData()

# One row per job: one input under one model and configuration.
jobs = Table(
    "jobs",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("name", String(32), nullable=False),  # of the case; from hashes
    Column("input", String(64), nullable=False),  # SHA-256 of the content
    Column("kind", String(8), nullable=False),
    Column("bundle", String(128), nullable=False),
    Column("version", String(32), nullable=False),
    Column("weights", String(64), nullable=False),
    Column("configuration", String(64), nullable=False),
    Column("state", String(12), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("token", BigInteger, nullable=False),  # grows with every lease: the fence
    Column("owner", String(160)),
    Column("beat", BigInteger, nullable=False),
    Column("code", String(64)),
    Column("reason", String(512)),
    Column("changed", String(32), nullable=False),  # UTC; for people, decides nothing
    Column("seconds", Float),
    Column("timings", JSON),
    Column("score", Float),
    Column("p_value", Float),
    Column("abnormal", Boolean),
    Column("lesions", Integer),
    Column("volume_ml", Float),
    Column("flags", JSON),
    Column("appearance", JSON),
    Column("outputs", JSON),
)

# One row a lease, for provenance: who tried, and what became of it.
attempts = Table(
    "attempts",
    metadata,
    Column("key", String(64), ForeignKey("jobs.key"), primary_key=True),
    Column("token", BigInteger, primary_key=True),
    Column("owner", String(160), nullable=False),
    Column("started", String(32), nullable=False),
    Column("ended", String(32)),
    Column("outcome", String(12)),
    Column("code", String(64)),
)

# The hash of every file seen, so that an unchanged one is not read again. Paths are keyed hashes.
files = Table(
    "files",
    metadata,
    Column("path", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)

# What a source held when it was last looked through, under one model and configuration.
sources = Table(
    "sources",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("snapshot", String(64), nullable=False),
    Column("skipped", JSON, nullable=False),
)
found = Table(
    "found",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("key", String(64), ForeignKey("jobs.key"), primary_key=True, index=True),
)

# Where a case comes from. Identifiers lead to a patient in the archive of images: no other file holds that of a study.
origins = Table(
    "origins",
    metadata,
    Column("key", String(64), ForeignKey("jobs.key"), primary_key=True),
    Column("study", String(64), nullable=False),
    Column("series", String(64), nullable=False),
    Column("sequence", String(64), nullable=False),
    Column("voxel_mm", String(48), nullable=False),
    Column("slices", Integer, nullable=False),
)

# What an archive of images said of every object that was sent to it.
deliveries = Table(
    "deliveries",
    metadata,
    Column("key", String(64), ForeignKey("jobs.key"), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("target", String(256), primary_key=True),
    Column("state", String(12), nullable=False),
    Column("reason", String(256)),
    Column("changed", String(32), nullable=False),
)

settings = Table("settings", metadata, Column("name", String(32), primary_key=True), Column("value", String(128)))


def connect(url: str, *, wait: float) -> Engine:
    """An engine for a ledger.

    SQLite writes ahead (WAL) and syncs at every commit (FULL), so that what is committed outlives a power cut; writers
    queue up at the start of their transaction and not in the middle of it.

    Args:
        url: of SQLAlchemy.
        wait: seconds to wait for a lock.
    """
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": wait, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
