"""What clients of the server may name: images, labels, sessions and files, of which none leads out of its folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any
from uuid import UUID

from data_prep.errors import CONTROLS
from data_prep.formats.table import PICTURES, SINGLE_FILE
from pipelines.problems import CommandError

IMAGES = (*SINGLE_FILE, *PICTURES)  # a client sends and is given one file
RESULTS = (".nii.gz", ".nii", ".nrrd")
LABELS = (*IMAGES, ".bin")  # OHIF's scribbles
SESSIONS = (*IMAGES, ".zip", ".dcm", "")  # DICOM files often have no extension
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_TYPES = ("uint8", "uint16", "int16", "int32", "float32")
_LONGEST = 200  # of a name; file systems take 255 bytes with the extension
_NEVER = re.compile(rf"[/\\\ud800-\udfff]|{CONTROLS.pattern}")


class NameRefusedError(CommandError):
    """A name that a client must not use; the message does not repeat it."""


def image_id(name: str) -> str:
    """The id of an image, if a file may be called so.

    Raises:
        NameRefusedError: it is empty, hidden or too long, or holds a path or control characters.
    """
    if not name or name.startswith(".") or len(name) > _LONGEST or _NEVER.search(name):
        msg = f"an image's id is a file name of at most {_LONGEST} characters, without folders and control characters"
        raise NameRefusedError(msg)
    return name


def label_tag(tag: str) -> str:
    """A label's tag, which becomes a folder.

    Raises:
        NameRefusedError: it is none.
    """
    if not _TAG.fullmatch(tag) or ".." in tag:
        msg = "a label's tag is made of at most 64 letters, digits, '_', '-' and '.'"
        raise NameRefusedError(msg)
    return tag


def session_id(name: str) -> str:
    """A session's id, as the server gives it out.

    Raises:
        NameRefusedError: it is none.
    """
    try:
        return str(UUID(name))
    except ValueError as error:
        msg = "a session's id is a UUID"
        raise NameRefusedError(msg) from error


def file_name(name: str | None, extensions: Iterable[str]) -> str | None:
    """The name of an uploaded file, if its extension is known; clients put folders of their own before it.

    Args:
        name: None: the client gave none.
        extensions: that are taken; "" is a name without one.

    Raises:
        NameRefusedError: it holds control characters, or its extension is another.
    """
    if name is None:
        return None
    name = image_id(re.split(r"[/\\]", name)[-1])
    known = tuple(extensions)
    if not name.lower().endswith(tuple(filter(None, known))) and not ("" in known and _is_bare(name)):
        msg = f"a file's name must end in one of {', '.join(filter(None, known))}"
        raise NameRefusedError(msg)
    return name


def check_options(request: Mapping[str, Any]) -> None:
    """Check what a client says of the file that it wants, and of the label that is kept.

    Raises:
        NameRefusedError: an extension, type or tag is unknown.
    """
    for name, known in (("result_extension", RESULTS), ("result_dtype", _TYPES)):
        if request.get(name) not in (None, "", *known):
            msg = f"{name} is one of {', '.join(known)}"
            raise NameRefusedError(msg)
    if tag := request.get("label_tag"):
        label_tag(str(tag))


def _is_bare(name: str) -> bool:
    """Has a name no extension? A UID's numbers are none."""
    return not PurePath(name).suffix or PurePath(name).suffix[1:].isdigit()
