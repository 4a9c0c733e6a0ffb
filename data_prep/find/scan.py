"""Files looked at, one row each for the `ScanIndex`: in this process, or in several."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from enum import StrEnum
from functools import partial
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from data_prep.child import safe_path
from data_prep.dicom.instance import Instance, NoImage
from data_prep.dicom.parser import read_instance
from data_prep.dicom.strays import look
from data_prep.errors import InputError
from data_prep.find.order import sort_text
from data_prep.find.passed import Passed, PassedOver, Why
from data_prep.formats.source import UNREADABLE, Source, unreadable
from data_prep.formats.table import format_of, has_header, suffix_of, volume_file

_CHUNK = 64  # files sent to a worker at once
_WORTH_IT = 512  # files from which on starting workers pays


class Kind(StrEnum):
    """What a file is."""

    IMAGE = "image"
    NO_IMAGE = "no image"
    VOLUME = "volume"
    ERROR = "error"
    STRAY = "stray"  # an image that was set aside from the others of its series


class Row(NamedTuple):
    """What the index keeps of one file.

    Args:
        key: sorts rows in natural order of their paths.
        kind: what it is.
        path: on disk; bytes, as file names need not be text.
        member: within an archive, "" otherwise.
        folder: `Source.folder`.
        inode: tells hard links to one file; "" where there is but one.
        series: SeriesInstanceUID.
        part: `Instance.moment` and image type as text.
        look: what `why_stray` goes by, as text; equal for images that it judges alike.
        sop: SOPInstanceUID.
        patient: `Instance.patient` and, after a slash, `Instance.patient_name`.
        fault: 1 where the image has one.
        content: a packed `Instance`, modality and study of a `NoImage`, or code and reason of an error.
    """

    key: bytes
    kind: str
    path: bytes
    member: str
    folder: bytes
    inode: str = ""
    series: str = ""
    part: str = ""
    look: str = ""
    sop: str = ""
    patient: str = ""
    fault: int = 0
    content: bytes = b""

    @property
    def source(self) -> Source:
        """The file."""
        return Source(Path(os.fsdecode(self.path)), self.member or None)

    @property
    def instance(self) -> Instance:
        """The image of a row of kind IMAGE."""
        return Instance.unpack(self.content, self.source)

    @property
    def no_image(self) -> NoImage:
        """The object of a row of kind NO_IMAGE."""
        return NoImage(self.source, self.series, *json.loads(self.content))

    @property
    def error(self) -> tuple[str, str]:
        """Code and sentence of a row of kind ERROR."""
        code, reason = json.loads(self.content)
        return code, reason


def scan(
    sources: Iterable[Source | InputError | Passed],
    *,
    workers: int = 1,
    named: frozenset[Path],
    pictures: bool = True,
) -> Iterator[Row | Passed]:
    """A row for every file that is an image or should be one, and what is passed over.

    Args:
        sources: of `walk_all`.
        workers: processes; 1: this one alone.
        named: files that were asked for by name: what they are is told even where they are not images.
        pictures: are files of formats of pictures wanted? Where not, they are passed over.
    """
    rows = partial(_rows, named=named, pictures=pictures)
    sources = iter(sources)
    first = list(islice(sources, _WORTH_IT if workers > 1 else 0))
    if len(first) < _WORTH_IT:
        for source in chain(first, sources):
            yield from rows([source])
        return
    yield from _in_processes(first, sources, workers, rows)


def _in_processes(
    first: list[Source | InputError | Passed],
    rest: Iterator[Source | InputError | Passed],
    workers: int,
    rows: Callable[[list[Source | InputError | Passed]], list[Row | Passed]],
) -> Iterator[Row | Passed]:
    """Chunks of files to worker processes, few at a time, so that memory stays flat."""
    waiting: deque[Future[list[Row | Passed]]] = deque()
    with safe_path(), ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        while chunk := first[:_CHUNK] or list(islice(rest, _CHUNK)):
            first = first[_CHUNK:]
            waiting.append(pool.submit(rows, chunk))
            if len(waiting) > 4 * workers:
                yield from waiting.popleft().result()
        for future in waiting:
            yield from future.result()


def _rows(
    sources: Iterable[Source | InputError | Passed], *, named: frozenset[Path], pictures: bool
) -> list[Row | Passed]:
    passed = PassedOver()
    rows = passed.kept_from(_row(source, named, pictures) for source in sources)
    return [*rows, *passed]


def _row(source: Source | InputError | Passed, named: frozenset[Path], pictures: bool) -> Row | Passed:
    if isinstance(source, Passed):
        return source
    if isinstance(source, InputError):
        return _error_row(Source(Path(source.path)), source)
    if source.member is None and source.path in named:
        source = volume_file(source)
    if suffix_of(source.name) and (kind := format_of(source)) is not None:
        if kind.pictures and not pictures and source.path not in named:
            return Passed.of(source, Why.PICTURE)
        return _start(source, Kind.VOLUME)
    try:
        found = read_instance(source)
    except InputError as error:
        return _error_row(source, error)
    except UNREADABLE as error:
        return _error_row(source, unreadable(source, error))
    if found is None:
        if source.path not in named or source.member is not None:
            return Passed.of(source, Why.VOXELS if has_header(source) else Why.OTHER)
        return _error_row(source, InputError(source.path, "NOT_AN_IMAGE", f"{source.name} is not an image"))
    if isinstance(found, NoImage):
        return _start(source, Kind.NO_IMAGE)._replace(
            series=found.series_uid, content=_packed(found.modality, found.study_uid)
        )
    return _start(source, Kind.IMAGE)._replace(
        inode=_inode(source),
        series=found.series_uid,
        part="\\".join((*found.moment, *found.image_type)),
        look=look(found),
        sop=found.sop_uid,
        patient=f"{found.patient}/{found.patient_name}",
        fault=int(found.fault is not None),
        content=found.pack(),
    )


def _start(source: Source, kind: Kind) -> Row:
    key, path, folder = (os.fsencode(text) for text in (sort_text(str(source)), source.path, source.folder))
    return Row(key, kind.value, path, source.member or "", folder)


def _error_row(source: Source, error: InputError) -> Row:
    return _start(source, Kind.ERROR)._replace(content=_packed(error.code, error.reason))


def _packed(*texts: str) -> bytes:
    return json.dumps(texts).encode()


def _inode(source: Source) -> str:
    """Device and inode of a file with several names."""
    if source.member is not None:
        return ""
    status = os.stat(source.path)
    return f"{status.st_dev}:{status.st_ino}" if status.st_nlink > 1 else ""
