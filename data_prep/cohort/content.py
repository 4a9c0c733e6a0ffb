"""`content_hash`: of the files of a scan, without decoding them."""

from __future__ import annotations

import hashlib

from data_prep.cases.read import files_at
from data_prep.cohort.found import Found
from data_prep.errors import InputError
from data_prep.formats.source import UNREADABLE, Source, unreadable


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
        sources = [source for image in scan.images or (scan.image,) if image for source in files_at(image)]
    hashes = [_hash(source) for source in sources]
    digest = hashlib.sha256("".join(hashes if scan.images else sorted(hashes)).encode())
    if scan.images:  # the same files in another order, or beside another gap, are another visit
        digest.update("".join("1" if image else "0" for image in scan.images).encode())
    label = "".join(map(_hash, files_at(scan.label))) if scan.label else ""
    digest.update(f"{series.name if series else ''}:{label}".encode())
    return digest.hexdigest()


def _hash(source: Source) -> str:
    try:
        with source.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    except UNREADABLE as error:
        raise unreadable(source, error) from error
