"""`content_hash`: of the files of a scan, without decoding them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from data_prep.cohort.found import Found
from data_prep.errors import InputError
from data_prep.find.walk import within_archive
from data_prep.formats.source import UNREADABLE, Source, reason


def content_hash(scan: Found) -> str:
    """SHA-256 over the SHA-256 of a scan's files in order of these, and over its mask's.

    Raises:
        InputError: UNREADABLE, or the reason of a series that is not accepted.
    """
    series = scan.series
    if series is not None and series.code:
        raise InputError(series.place, series.code, series.reason)
    if series is not None and series.stack is not None:
        sources = list({instance.source for instance in series.stack.instances})
    else:
        sources = [_source(scan.image)]
        if scan.image.name.lower().endswith(".nhdr"):  # its voxels lie in other files beside it
            sources += [Source(path) for path in scan.image.parent.glob(f"{scan.image.stem}.*") if path != scan.image]
    digest = hashlib.sha256("".join(sorted(map(_hash, sources))).encode())
    digest.update(f"{series.name if series else ''}:{_hash(_source(scan.label)) if scan.label else ''}".encode())
    return digest.hexdigest()


def _source(path: Path) -> Source:
    return within_archive(path) or Source(path)


def _hash(source: Source) -> str:
    try:
        with source.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    except FileNotFoundError as error:
        raise InputError(str(source), "MISSING_FILE", f"there is no {source.name}") from error
    except UNREADABLE as error:
        raise InputError(str(source), "UNREADABLE", f"{source.name} cannot be opened ({reason(error)})") from error
