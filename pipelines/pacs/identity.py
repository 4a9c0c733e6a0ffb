"""Whose image a DICOM file is: its UIDs, by as much of the file as they need and no more."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.dicom.header import DEFLATED, EXPLICIT_BIG, IMPLICIT_LITTLE, inflate, meta_length
from data_prep.dicom.parser import valid_uid

_HEAD = 2**20  # bytes; the UIDs stand before the long elements
_SYNTAX = 0x00020010
_TAGS = {
    "SOPClassUID": 0x00080016,
    "SOPInstanceUID": 0x00080018,
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
}
_LAST = max(_TAGS.values())


class Identity(NamedTuple):
    """What a data set says it is; each a valid UID.

    Args:
        sop_class: SOPClassUID.
        instance: SOPInstanceUID.
        study: StudyInstanceUID.
        series: SeriesInstanceUID.
    """

    sop_class: str
    instance: str
    study: str
    series: str


class IdentityError(ValueError):
    """A file is not DICOM, or one of its UIDs is missing or malformed. The message holds no value of it."""


def identify(path: Path) -> Identity:
    """Read a file's identity, in raw values: none is converted, and so no library can warn of it.

    Raises:
        IdentityError: there is none.
    """
    with path.open("rb") as file:
        content = file.read(_HEAD)
    if content[128:132] != b"DICM":
        msg = "not a DICOM file"
        raise IdentityError(msg)
    try:
        found = _raw(content)
    except Exception as error:  # a damaged file makes pydicom raise almost anything
        msg = "the header cannot be read"
        raise IdentityError(msg) from error
    uids = {name: _text(found.get(tag)) for name, tag in _TAGS.items()}
    for name, uid in uids.items():
        if not valid_uid(uid):
            msg = f"{name} is missing or malformed"
            raise IdentityError(msg)
    return Identity(*uids.values())


def _raw(content: bytes) -> dict[int, Any]:
    from pydicom.filereader import data_element_generator

    meta, begin = meta_length(content)
    syntax = _text(meta.get(_SYNTAX))
    body = inflate(content[begin:], _HEAD) if syntax == DEFLATED else content[begin:]
    elements = data_element_generator(
        io.BytesIO(body),
        syntax == IMPLICIT_LITTLE,
        syntax != EXPLICIT_BIG,
        stop_when=lambda tag, vr, length: int.__gt__(tag, _LAST),
        specific_tags=list(_TAGS.values()),  # type: ignore[arg-type]
    )
    return {int(element.tag): element.value for element in elements}


def _text(value: Any) -> str:
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else ""
