"""The content hash of every input, each file read once: an unchanged one is known by its size and time."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from pipelines.reprocess.ledger.ledger import Ledger
from pipelines.reprocess.ledger.tables import files

if TYPE_CHECKING:
    from data_prep.dicom.geometry import Stack
    from data_prep.dicom.instance import Instance
    from data_prep.formats.source import Source

_MANY = 500  # paths in one question to the database


class Stamp(NamedTuple):
    """What tells a file that has not changed."""

    size: int
    mtime_ns: int


class FileHashes:
    """SHA-256 of files, remembered in a ledger under a keyed hash of their paths: paths may name patients.

    Args:
        ledger: that remembers.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._salt = bytes.fromhex(ledger.setting("salt", default=lambda: secrets.token_hex(32)))

    def path_key(self, path: object) -> str:
        """A path as the ledger knows it."""
        return hmac.new(self._salt, os.fsencode(str(path)), hashlib.sha256).hexdigest()

    def files(self, sources: Sequence[Source]) -> tuple[str, list[Stamp]]:
        """One SHA-256 of what several files hold, whatever they are called; and their stamps.

        Raises:
            OSError: one cannot be read.
        """
        return self._content(sources, "file", _digest)

    def stack(self, stack: Stack) -> tuple[str, list[Stamp]]:
        """The same of a DICOM volume, but of its pixels and of what its headers say of them alone.

        So a series is one input, whether it comes from a folder or from an archive that writes headers anew.

        Raises:
            OSError: a file cannot be read.
        """
        first = {instance.source: instance for instance in reversed(stack.instances)}
        content, stamps = self._content(list(first), "pixels", lambda source: _pixels(first[source]))
        headers = sorted(_header(instance) for instance in stack.instances)
        return hashlib.sha256(b"\0".join([content.encode(), *headers])).hexdigest(), stamps

    def _content(
        self, sources: Sequence[Source], kind: str, digest: Callable[[Source], str]
    ) -> tuple[str, list[Stamp]]:
        stamps = [stamp(source) for source in sources]
        known = self._known(sources, kind)
        fresh: list[dict[str, Any]] = []
        digests = []
        for source, now in zip(sources, stamps, strict=True):
            key = self.path_key(f"{kind} {source}")
            before = known.get(key)
            if before is None or before[0] != now:
                before = (now, digest(source))
                fresh.append({"path": key, **now._asdict(), "sha256": before[1]})
            digests.append(before[1])
        if fresh:
            self._remember(fresh)
        if len(digests) == 1:
            return digests[0], stamps
        return hashlib.sha256("\n".join(sorted(set(digests))).encode()).hexdigest(), stamps

    def _known(self, sources: Sequence[Source], kind: str) -> dict[str, tuple[Stamp, str]]:
        keys = [self.path_key(f"{kind} {source}") for source in sources]
        known = {}
        with self.ledger.read() as connection:
            for start in range(0, len(keys), _MANY):
                query = select(files).where(files.c.path.in_(keys[start : start + _MANY]))
                for row in connection.execute(query):
                    known[row.path] = (Stamp(row.size, row.mtime_ns), row.sha256)
        return known

    def _remember(self, rows: list[dict[str, Any]]) -> None:
        with self.ledger.write() as connection:
            insert: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            change = insert(files)
            new = {name: change.excluded[name] for name in ("size", "mtime_ns", "sha256")}
            connection.execute(change.on_conflict_do_update(index_elements=["path"], set_=new), rows)


def stamp(source: Source) -> Stamp:
    """Size and time of a file; a member of an archive has the archive's."""
    status = os.stat(source.path)
    return Stamp(status.st_size, status.st_mtime_ns)


def snapshot(paths: Iterable[Path], context: str) -> str:
    """One hash of the names, sizes and times of all files below `paths`, whatever their order; nothing is opened.

    Args:
        paths: folders.
        context: what else decides which jobs follow from them.
    """
    from data_prep.find.passed import Passed
    from data_prep.find.walk import walk_all

    total = 0
    for source in walk_all(paths):
        if isinstance(source, Passed):
            continue
        entry = str(source) if isinstance(source, Exception) else f"{source}\0{stamp(source)}"
        total += int.from_bytes(hashlib.sha256(os.fsencode(entry)).digest(), "big")
    return hashlib.sha256(f"{total:x}\0{context}".encode()).hexdigest()


def _digest(source: Source) -> str:
    with source.open() as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def _pixels(instance: Instance) -> str:
    """SHA-256 of a file's pixel data as they are stored."""
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    from data_prep.dicom.header import NATIVE, UNDEFINED_LENGTH

    if instance.syntax == DeflatedExplicitVRLittleEndian:  # the offset is one in the inflated file
        return _digest(instance.source)
    _, offset, length = instance.pixels
    native = instance.syntax in NATIVE and length != UNDEFINED_LENGTH
    digest = hashlib.sha256()
    with instance.source.open() as stream:
        stream.seek(offset)
        left = length if native else 2**63
        while left and (block := stream.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def _header(instance: Instance) -> bytes:
    """What a header says of its image, but for where the pixels begin and how the header itself is encoded."""
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    elements = {field.name: getattr(instance, field.name) for field in fields(instance)}
    plain = elements.pop("syntax") in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    del elements["source"], elements["pixels"]
    return repr([*elements.values(), "" if plain else instance.syntax]).encode()
