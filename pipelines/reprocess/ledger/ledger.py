"""`Ledger`: what is to be done, what is being done and by whom, and what was done. It is the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pipelines.problems import CommandError
from pipelines.reprocess.ledger.schema import bring_up_to_date, check
from pipelines.reprocess.ledger.tables import attempts, connect, found, jobs, origins, settings, sources

FILE = "ledger.sqlite"
Row = dict[str, Any]
_ALONE = 0x68746C67  # PostgreSQL's advisory lock for what replaces several rows
_MANY = 500  # keys in one question to the database


class State(StrEnum):
    """Of a job."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    QUARANTINED = "quarantined"
    WITHDRAWN = "withdrawn"  # no longer at its source, or for a model that is no longer asked for


class LeaseLostError(RuntimeError):
    """This worker's lease was taken over: what it made must not count."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One input under one model and configuration.

    Args:
        key: SHA-256 of all that follows but `name` and `kind`.
        name: of the case, from hashes.
        input: SHA-256 of the content.
        kind: dicom, nifti, nrrd or file.
        bundle: its name.
        version: of the bundle.
        weights: their SHA-256.
        configuration: SHA-256 of what else decides the result.
    """

    key: str
    name: str
    input: str
    kind: str
    bundle: str
    version: str
    weights: str
    configuration: str


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to work on a job. `token` grows with every lease of the job, so that an old one is recognised."""

    key: str
    token: int
    owner: str
    beat: int = 0


class Ledger:
    """Jobs, leases and attempts in a database.

    Args:
        url: of SQLAlchemy.
        wait: seconds to wait for a lock.

    Raises:
        CommandError: the database cannot be opened, or is of a newer version; one of an older version is migrated.
    """

    def __init__(self, url: str, *, wait: float = 60) -> None:
        self.one_machine = url.startswith("sqlite")  # WAL does not work over a network
        try:
            engine = connect(url, wait=wait)
            with explained():
                self._reader, self._writer = engine, engine.execution_options(write=True)
                check(url, engine)
                with self.write(alone=True) as connection:
                    bring_up_to_date(connection)
        except (SQLAlchemyError, ImportError) as error:
            msg = f"the ledger cannot be opened: {' '.join(str(error).split())[:200]}"
            raise CommandError(msg) from error

    @classmethod
    def of(cls, archive: Path, url: str | None = None, *, wait: float = 60) -> Ledger:
        """The ledger of an archive: at `url`, or the file `ledger.sqlite` in it."""
        return cls(url or f"sqlite:///{archive.resolve() / FILE}", wait=wait)

    def close(self) -> None:
        """Close every connection."""
        self._reader.dispose()

    @contextmanager
    def write(self, *, alone: bool = False) -> Iterator[Connection]:
        """A transaction that may write.

        Args:
            alone: no other transaction of this kind at the same time, as it always is in SQLite.
        """
        with explained(), self._writer.begin() as connection:
            if alone and connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_ALONE)))
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with explained(), self._reader.begin() as connection:
            yield connection

    def setting(self, name: str, default: Callable[[], str] | None = None) -> str:
        """A value that belongs to the ledger; made by `default` where it is missing, once for all processes."""
        query = select(settings.c.value).where(settings.c.name == name)
        with self.read() as connection:
            value = connection.scalar(query)
        if value is None and default is not None:
            with self.write() as connection:
                self._ignore(connection, settings, [{"name": name, "value": default()}])
                value = connection.scalar(query)
        return str(value)

    def enter(self, job: Job, *, code: str = "", reason: str = "") -> State:
        """Take a job in; one that is known stays as it is.

        Args:
            job: to be done.
            code: why it must not be done; it is quarantined then.
            reason: one sentence, without a word from the input.

        Returns:
            The state that it is in.
        """
        state = State.QUARANTINED if code else State.PENDING
        entered = {"state": state.value, "code": code or None, "reason": reason or None, "changed": now()}
        row = {**asdict(job), **entered, "attempts": 0, "token": 0, "beat": 0}
        again = (State.WITHDRAWN.value, *([State.PENDING.value] if code else []))
        with self.write() as connection:
            self._ignore(connection, jobs, [row])
            connection.execute(
                update(jobs).where(jobs.c.key == job.key, jobs.c.state.in_(again)).values(**entered, attempts=0)
            )
            return State(str(connection.scalar(select(jobs.c.state).where(jobs.c.key == job.key))))

    def claim(self, key: str, owner: str) -> Lease | None:
        """A lease on a pending job; None where it is not pending any more."""
        with self.write() as connection:
            claimed = connection.execute(
                update(jobs)
                .where(jobs.c.key == key, jobs.c.state == State.PENDING.value)
                .values(
                    state=State.RUNNING.value,
                    attempts=jobs.c.attempts + 1,
                    token=jobs.c.token + 1,
                    owner=owner,
                    beat=0,
                    changed=now(),
                )
                .returning(jobs.c.token)
            ).first()
            if claimed is None:
                return None
            lease = Lease(key=key, token=claimed.token, owner=owner)
            started = {"key": key, "token": lease.token, "owner": owner, "started": now()}
            connection.execute(attempts.insert().values(**started))
            return lease

    def beat(self, lease: Lease) -> bool:
        """A sign of life; False where the lease was taken over."""
        with self.write() as connection:
            return bool(connection.execute(_held(lease).values(beat=jobs.c.beat + 1)).rowcount)

    def finish(self, lease: Lease, result: Mapping[str, Any], publish: Callable[[], None]) -> None:
        """Publish a result and mark its job as done, as one: nobody can take the lease over in between.

        Args:
            lease: of the worker.
            result: columns of `jobs`.
            publish: brings the outputs to their place.

        Raises:
            LeaseLostError: the lease was taken over; nothing was published.
        """
        with self.write() as connection:
            done = {"state": State.DONE.value, "owner": None, "code": None, "reason": None, "changed": now()}
            if not connection.execute(_held(lease).values(**done, **result)).rowcount:
                raise LeaseLostError(lease.key)
            _end(connection, lease, State.DONE.value)
            publish()

    def fail(self, lease: Lease, *, code: str, reason: str, most: int) -> State | None:
        """A job that could not be done: pending again or, at its last attempt or when it never will, quarantined.

        Args:
            lease: of the worker.
            code: for machines.
            reason: one sentence, without a word from the input.
            most: attempts that a job has; 0: do not try again.

        Returns:
            The new state; None where the lease was taken over.
        """
        with self.write() as connection:
            tried = connection.scalar(select(jobs.c.attempts).where(*_is_held(lease)))
            if tried is None:
                return None
            state = State.QUARANTINED if tried >= most else State.PENDING
            values = {"state": state.value, "owner": None, "code": code, "reason": reason, "changed": now()}
            if not connection.execute(_held(lease).values(**values)).rowcount:
                return None
            _end(connection, lease, "failed", code)
            return state

    def give_back(self, lease: Lease, *, code: str) -> bool:
        """End a lease for no fault of its job: the attempt does not count. False where it was taken over."""
        values = {"state": State.PENDING.value, "owner": None, "attempts": jobs.c.attempts - 1, "changed": now()}
        with self.write() as connection:
            if not connection.execute(_held(lease).values(**values)).rowcount:
                return False
            _end(connection, lease, "given back", code)
            return True

    def leases(self) -> list[Lease]:
        """All that are held."""
        query = select(jobs.c.key, jobs.c.token, jobs.c.owner, jobs.c.beat).where(jobs.c.state == State.RUNNING.value)
        with self.read() as connection:
            return [Lease(**row) for row in connection.execute(query).mappings()]

    def rows(self, *states: State, keys: Sequence[str] | None = None, source: str | None = None) -> list[Row]:
        """Jobs in some states, or all, by name.

        Args:
            states: none: all.
            keys: beginnings of keys, or names of cases; None: all.
            source: that they are of; None: all.
        """
        columns = [column for column in origins.c if column.name != "key"]
        query = select(jobs, *columns).outerjoin(origins, origins.c.key == jobs.c.key).order_by(jobs.c.name, jobs.c.key)
        if source is not None:
            query = query.join(found, found.c.key == jobs.c.key).where(found.c.source == source)
        if states:
            query = query.where(jobs.c.state.in_([state.value for state in states]))
        with self.read() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return [row for row in rows if keys is None or any(_named(row, key) for key in keys)]

    def states(self, keys: Sequence[str]) -> dict[str, State]:
        """The states of jobs."""
        known: dict[str, State] = {}
        with self.read() as connection:
            for start in range(0, len(keys), _MANY):
                query = select(jobs.c.key, jobs.c.state).where(jobs.c.key.in_(keys[start : start + _MANY]))
                known.update({key: State(state) for key, state in connection.execute(query)})
        return known

    def has_ended_with(self, key: str, codes: Sequence[str]) -> bool:
        """Did any attempt at a job end with one of some codes?"""
        query = select(attempts.c.token).where(attempts.c.key == key, attempts.c.code.in_(codes)).limit(1)
        with self.read() as connection:
            return connection.scalar(query) is not None

    def history(self) -> list[Row]:
        """All attempts, the oldest first."""
        with self.read() as connection:
            query = select(attempts).order_by(attempts.c.started, attempts.c.key, attempts.c.token)
            return [dict(row) for row in connection.execute(query).mappings()]

    def counts(self, source: str | None = None) -> dict[str, int]:
        """How many jobs are in each state, of one source or of all."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        if source is not None:
            query = query.join(found, found.c.key == jobs.c.key).where(found.c.source == source)
        with self.read() as connection:
            known = {row[0]: int(row[1]) for row in connection.execute(query)}
        return {state.value: known.get(state.value, 0) for state in State}

    def release(self, rows: Iterable[Row]) -> int:
        """Quarantined jobs become pending, with all their attempts before them; how many."""
        values = {"state": State.PENDING.value, "attempts": 0, "code": None, "reason": None, "changed": now()}
        with self.write() as connection:
            where = jobs.c.state == State.QUARANTINED.value
            change = update(jobs).values(**values)
            return sum(connection.execute(change.where(where, jobs.c.key == row["key"])).rowcount for row in rows)

    def reopen(self, key: str) -> State:
        """A job that is done becomes pending, for its outputs are to be made again; the state that it is in."""
        values = {"state": State.PENDING.value, "attempts": 0, "changed": now()}
        with self.write() as connection:
            connection.execute(update(jobs).where(jobs.c.key == key, jobs.c.state == State.DONE.value).values(**values))
            return State(str(connection.scalar(select(jobs.c.state).where(jobs.c.key == key))))

    def note_origin(self, key: str, origin: Callable[[], Mapping[str, Any]]) -> None:
        """Note where a job's case comes from, unless that is known.

        Args:
            key: of the job.
            origin: gives the columns of `origins`.
        """
        query = select(origins.c.key).where(origins.c.key == key)
        with self.read() as connection:
            known = connection.scalar(query) is not None
        if not known:
            row = {"key": key, **origin()}
            with self.write() as connection:
                self._ignore(connection, origins, [row])

    def snapshot(self, source: str) -> tuple[str, dict[str, int]]:
        """What a source looked like when it was last looked through to the end, and what was skipped in it."""
        with self.read() as connection:
            row = connection.execute(select(sources).where(sources.c.source == source)).mappings().first()
        return ("", {}) if row is None else (row["snapshot"], row["skipped"])

    def skipped(self) -> dict[str, int]:
        """What all sources hold and is not for the model, by reason code."""
        counts: Counter[str] = Counter()
        with self.read() as connection:
            for skipped in connection.scalars(select(sources.c.skipped)):
                counts.update(skipped)
        return dict(counts)

    def settle(self, source: str, snapshot: str, keys: Iterable[str], skipped: Mapping[str, int]) -> None:
        """Note what a source holds; what it held before and is neither done nor running is withdrawn."""
        now_there = set(keys)
        with self.write(alone=True) as connection:
            before = set(connection.scalars(select(found.c.key).where(found.c.source == source)))
            connection.execute(found.delete().where(found.c.source == source))
            if now_there:
                rows = [{"source": source, "key": key} for key in sorted(now_there)]
                connection.execute(found.insert(), rows)
            elsewhere = select(found.c.key)
            open_states = [State.PENDING.value, State.QUARANTINED.value]
            for key in before - now_there:
                where = (jobs.c.key == key, jobs.c.state.in_(open_states), jobs.c.key.not_in(elsewhere))
                connection.execute(update(jobs).where(*where).values(state=State.WITHDRAWN.value, changed=now()))
            connection.execute(sources.delete().where(sources.c.source == source))
            row = {"source": source, "snapshot": snapshot, "skipped": dict(skipped)}
            connection.execute(sources.insert().values(**row))

    def _ignore(self, connection: Connection, table: Any, rows: list[Row]) -> None:
        """Insert rows whose key is not there yet."""
        insert: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(insert(table).on_conflict_do_nothing(), rows)


@contextmanager
def explained() -> Iterator[None]:
    """Say in words what keeps a ledger from being read or written."""
    try:
        yield
    except DBAPIError as error:
        why = " ".join(str(error.orig).split())
        if "locked" in why:
            why = "another process holds it locked; end that process, or wait for it, and start again"
        elif "full" in why:
            why = "the disk is full; what is committed is safe: make room and start again"
        msg = f"the ledger cannot be used: {why}"
        raise CommandError(msg) from error


def now() -> str:
    """UTC, for people; no decision rests on it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _is_held(lease: Lease) -> tuple[Any, ...]:
    return jobs.c.key == lease.key, jobs.c.state == State.RUNNING.value, jobs.c.token == lease.token


def _held(lease: Lease) -> Any:
    return update(jobs).where(*_is_held(lease))


def _end(connection: Connection, lease: Lease, outcome: str, code: str | None = None) -> None:
    where = (attempts.c.key == lease.key, attempts.c.token == lease.token)
    connection.execute(update(attempts).where(*where).values(ended=now(), outcome=outcome, code=code))


def _named(row: Row, key: str) -> bool:
    return row["name"] == key or (len(key) >= 8 and row["key"].startswith(key))
