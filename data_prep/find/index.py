"""`ScanIndex`: what was found in a tree, on disk and not in memory, so that a million files need no more than a few."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType

from data_prep.find.scan import Kind, Row

_COLUMNS = ", ".join(Row._fields)
_BATCH = 512
_TABLE = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -4096;
PRAGMA temp_store = FILE;
CREATE TABLE files ({_COLUMNS});
"""
_INDEXES = """
CREATE INDEX by_series ON files (series, part, sop, key);
CREATE INDEX by_folder ON files (folder, kind, series);
"""
_UNITS = f"""
SELECT min(key) AS first, kind, series, rowid FROM files WHERE kind = '{Kind.IMAGE}' GROUP BY series
UNION ALL
SELECT min(key), kind, series, rowid FROM files AS other
WHERE kind = '{Kind.NO_IMAGE}' AND NOT EXISTS
  (SELECT 1 FROM files WHERE series = other.series AND kind = '{Kind.IMAGE}') GROUP BY series
UNION ALL
SELECT key, kind, series, rowid FROM files WHERE kind IN ('{Kind.VOLUME}', '{Kind.ERROR}')
ORDER BY first
"""


class ScanIndex:
    """Rows in a private SQLite file, removed at the end. Use as a context manager.

    A `scope` is a series, or the part of it that lies in one folder.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="healthytwin-scan-", ignore_cleanup_errors=True)
        self._base = sqlite3.connect(Path(self._folder.name, "index.sqlite"), isolation_level=None)
        self._base.executescript(_TABLE)

    def __enter__(self) -> ScanIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()
        self._folder.cleanup()

    def fill(self, rows: Iterable[Row]) -> None:
        """Take all rows; ask for nothing before."""
        rows = iter(rows)
        insert = f"INSERT INTO files VALUES ({', '.join('?' * len(Row._fields))})"
        self._base.execute("BEGIN")
        while batch := list(islice(rows, _BATCH)):
            self._base.executemany(insert, batch)
        self._base.execute("COMMIT")
        self._base.executescript(_INDEXES)

    def units(self) -> Iterator[tuple[Kind, str, Row]]:
        """Kind, series UID and a row of everything found, in natural order of the first file."""
        for _, kind, series, rowid in self._base.execute(_UNITS):
            (row,) = self._rows("rowid = ?", rowid)
            yield Kind(kind), series, row

    def images(self, series: str, folder: bytes | None = None, part: str | None = None) -> Iterator[Row]:
        """The images of a scope, of one part where it is named, by SOPInstanceUID."""
        where, values = _scope(series, folder)
        if part is not None:
            where, values = f"{where} AND part = ?", [*values, part]
        return self._rows(f"{where} ORDER BY part, sop, key", *values)

    def parts(self, series: str, folder: bytes | None) -> list[tuple[str, int]]:
        """The parts of a scope, and how many different images each has."""
        where, values = _scope(series, folder)
        query = f"SELECT part, count(DISTINCT sop) FROM files WHERE {where} GROUP BY part ORDER BY part"
        return list(self._base.execute(query, values))

    def looks(self, series: str, folder: bytes | None) -> list[Row]:
        """The first image of each look in a scope, in natural order."""
        where, values = _scope(series, folder)
        query = f"SELECT min(key) AS first, rowid FROM files WHERE {where} GROUP BY look ORDER BY first"
        found = [rowid for _, rowid in self._base.execute(query, values)]
        return [row for rowid in found for row in self._rows("rowid = ?", rowid)]

    def set_aside(self, series: str, folder: bytes | None, look: str) -> list[Row]:
        """Take the images of a look out of a scope; they are `Kind.STRAY` from now on."""
        where, values = _scope(series, folder)
        rows = list(self._rows(f"{where} AND look = ? ORDER BY key", *values, look))
        self._base.execute(f"UPDATE files SET kind = '{Kind.STRAY}' WHERE {where} AND look = ?", [*values, look])
        return rows

    def objects(self, series: str) -> list[Row]:
        """The DICOM objects without an image that a series with images holds too."""
        return list(self._rows("series = ? AND kind = ? ORDER BY key", series, Kind.NO_IMAGE.value))

    def patients(self, series: str, folder: bytes | None) -> int:
        """How many patients the images of a scope name, by identifier or by name where all that have one differ."""
        identifiers = self._count("DISTINCT substr(patient, 1, 16)", series, folder)
        return max(identifiers, self._count("DISTINCT nullif(substr(patient, 18), '')", series, folder))

    def files(self, series: str, folder: bytes | None = None) -> int:
        """How many files a scope has."""
        return self._count("*", series, folder)

    def fault(self, series: str, folder: bytes | None) -> Row | None:
        """An image of a scope that cannot be used."""
        where, values = _scope(series, folder)
        return next(self._rows(f"{where} AND fault = 1 ORDER BY key LIMIT 1", *values), None)

    def folders(self, series: str, folder: bytes | None = None) -> list[bytes]:
        """The folders of a scope."""
        where, values = _scope(series, folder)
        query = f"SELECT folder FROM files WHERE {where} GROUP BY folder ORDER BY min(key)"
        return [name for (name,) in self._base.execute(query, values)]

    def errors_in(self, folder: bytes) -> Iterator[Row]:
        """The files of a folder that could not be read."""
        return self._rows("folder = ? AND kind = ? ORDER BY key", folder, Kind.ERROR.value)

    def alone(self, series: str, folder: bytes) -> bool:
        """Do a folder and what is below it hold the images of no other series?"""
        inside = (folder + b"/", folder + b"0", Kind.IMAGE.value)
        query = "SELECT series FROM files WHERE {} AND kind = ? AND series <> ? LIMIT 1"
        here = self._base.execute(query.format("folder = ?"), (folder, Kind.IMAGE.value, series)).fetchone()
        below = self._base.execute(query.format("folder > ? AND folder < ?"), (*inside, series)).fetchone()
        return here is None and below is None

    def same_images_in(self, series: str, folders: list[bytes]) -> bool:
        """Does every one of several folders hold an image by each name (SOPInstanceUID) of the series?"""
        total = self._count("DISTINCT sop", series, None)
        return len(folders) > 1 and all(self._count("DISTINCT sop", series, folder) == total for folder in folders)

    def _count(self, what: str, series: str, folder: bytes | None) -> int:
        where, values = _scope(series, folder)
        (number,) = self._base.execute(f"SELECT count({what}) FROM files WHERE {where}", values).fetchone()
        return int(number)

    def _rows(self, where: str, *values: str | bytes | int) -> Iterator[Row]:
        for row in self._base.execute(f"SELECT {_COLUMNS} FROM files WHERE {where}", values):
            yield Row(*row)


def _scope(series: str, folder: bytes | None) -> tuple[str, list[str | bytes]]:
    where = f"series = ? AND kind = '{Kind.IMAGE}'"
    return (where, [series]) if folder is None else (f"{where} AND folder = ?", [series, folder])
