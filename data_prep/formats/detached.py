"""`data_beside`: the file that a header says holds its voxels."""

from __future__ import annotations

from data_prep.errors import InputError
from data_prep.formats.source import Source, is_kept


def data_beside(source: Source, name: str) -> Source:
    """The data file of a header, in its folder and nowhere else.

    Args:
        source: the header.
        name: of the data file, as the header gives it; `./` before it is allowed.

    Raises:
        InputError: UNREADABLE for a file elsewhere, or several files; MISSING_FILE where it is not there.
    """
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    words = name.split()
    several = words[:1] in (["LIST"], ["list"]) or (len(words) > 1 and "%" in name)
    if several or name in ("", ".", "..") or any(mark in name for mark in "/\\\0"):
        why = f"{source.name} names data outside its folder, or several files; only one file beside it is read"
        raise InputError(str(source), "UNREADABLE", why)
    data = source.beside(name)
    if not data.is_file or not is_kept(data):
        why = f"the data file {data.name} of {source.name} is not beside it"
        raise InputError(str(source), "MISSING_FILE", why)
    return data
