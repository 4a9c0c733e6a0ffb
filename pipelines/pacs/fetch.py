"""Series fetched by DICOMweb into a folder, each whole or not at all, for the gate to judge like any other."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.problems import CommandError

if TYPE_CHECKING:
    from pipelines.pacs.retrieve import Limits

SPOOL = "spool"
_STUDY, _SERIES, _NUMBER = "0020000D", "0020000E", "00201209"  # NumberOfSeriesRelatedInstances
_NAME = 20
SERIES_BYTES = 8_000_000_000  # at most, unless said otherwise
_PAGE = 1000  # series asked for at once
_MOST_SERIES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What a look at an archive gave.

    Args:
        known: series that were in the spool already, complete.
        fetched: series that are in it now.
        failed: series that could not be fetched, or not all of them.
        reasons: why not, and how often.
    """

    known: int = 0
    fetched: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict, compare=False)


class _Found(NamedTuple):
    """A series that the service says it has."""

    study: str
    series: str
    number: int | None


def is_web(source: str) -> bool:
    """Is this the address of a DICOMweb service?"""
    return source.startswith(("http://", "https://"))


def fetch(
    url: str,
    spool: Path,
    *,
    modalities: Iterable[str],
    free_gb: float,
    timeout: float = 60,
    limits: Limits | None = None,
) -> Fetched:
    """Bring every series of some modalities into `spool`, one folder each, named by hashes of the UIDs.

    QIDO-RS and WADO-RS, DICOM PS3.18 sections 10.4 and 10.6; pixels come as they are stored. Whatever goes wrong with
    one series costs that series alone.

    Args:
        url: of the DICOMweb service; a user's name and password come from `~/.netrc`.
        spool: where to.
        modalities: MR, CT, ...
        free_gb: of the disk that stay free.
        timeout: seconds without a byte.
        limits: of one series; None: the defaults.

    Raises:
        CommandError: the service cannot be asked, or the disk is full.
    """
    from pipelines.pacs.retrieve import Limits, RetrieveError, Retriever
    from pipelines.pacs.web import Bounds

    limits = limits or Limits(answer=Bounds(most_bytes=SERIES_BYTES, grace=timeout))
    spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    retriever = Retriever(url, timeout=timeout, limits=limits, free_gb=free_gb)
    known = fetched = 0
    reasons: Counter[str] = Counter()
    for found in _search(url, modalities, timeout=timeout):
        if isinstance(found, str):
            reasons["malformed entry"] += 1
            continue
        folder = spool / _hashed(found.series)
        if folder.is_dir() and found.number is not None and len(list(folder.iterdir())) >= found.number:
            known += 1
            continue
        if shutil.disk_usage(spool).free / 1e9 < free_gb:
            msg = f"less than {free_gb:g} GB are free where series are fetched to; make room and start again"
            raise CommandError(msg)
        try:
            retriever.fetch(found.study, found.series, folder, number=found.number)
        except RetrieveError as error:
            reasons[str(error)] += 1
        else:
            fetched += 1
    return Fetched(known=known, fetched=fetched, failed=reasons.total(), reasons=dict(reasons))


def _search(url: str, modalities: Iterable[str], *, timeout: float) -> list[_Found | str]:
    """Every series of the modalities, once; the hash of each entry that names none."""
    from pipelines.pacs.web import Bounds, Session, web_client

    try:
        client = web_client(url, timeout=timeout, session=Session(Bounds(grace=timeout)))
        return list(dict.fromkeys(one for modality in modalities for one in _pages(client, modality)))
    except CommandError:
        raise
    except Exception as error:  # the answer is JSON of a stranger
        msg = f"the DICOMweb service cannot be asked for series ({type(error).__name__})"
        raise CommandError(msg) from error


def _pages(client: Any, modality: str) -> Iterator[_Found | str]:
    """The series of a modality; ends with a page that holds nothing new, as that of a service that knows no pages."""
    filters, fields = {"Modality": modality}, ["NumberOfSeriesRelatedInstances"]
    seen: set[_Found | str] = set()
    offset = 0
    while True:
        page = client.search_for_series(search_filters=filters, fields=fields, limit=_PAGE, offset=offset)
        new = [one for one in map(_found, page) if one not in seen]
        if not new:
            return
        yield from new
        seen.update(new)
        offset += len(page)
        if len(seen) > _MOST_SERIES:
            msg = f"the DICOMweb service lists more than {_MOST_SERIES} series"
            raise CommandError(msg)


def _found(entry: Any) -> _Found | str:
    from data_prep.dicom.parser import valid_uid

    study, series, number = (_value(entry, tag) for tag in (_STUDY, _SERIES, _NUMBER))
    if not (isinstance(study, str) and isinstance(series, str) and valid_uid(study) and valid_uid(series)):
        return _hashed(json.dumps(entry))
    return _Found(study, series, int(number) if str(number).isdecimal() and len(str(number)) < 10 else None)


def _value(entry: Any, tag: str) -> Any:
    element = entry.get(tag) if isinstance(entry, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _hashed(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:_NAME]
