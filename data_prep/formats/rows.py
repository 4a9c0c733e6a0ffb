"""`read_rows`: a table of CSV or TSV, of whatever encoding and delimiter."""

from __future__ import annotations

import codecs
import csv
from pathlib import Path

from data_prep.errors import InputError
from data_prep.formats.source import UNREADABLE, Source, unreadable

SUFFIXES = (".csv", ".tsv")
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table, by its columns' names in small letters; values without blanks around them.

    Args:
        path: UTF-8, UTF-16 or Latin-1; tab, comma or semicolon between columns, whatever its name says.

    Raises:
        InputError: UNREADABLE, or BAD_DATALIST where it is no table.
    """
    try:
        content = Source(path).read()
    except UNREADABLE as error:
        raise unreadable(Source(path), error) from error
    text = _text(content)
    head = text.lstrip().partition("\n")[0]
    delimiter = max(",\t;", key=head.count)
    rows = list(csv.reader(text.splitlines(), delimiter=delimiter))
    rows = [[value.strip() for value in row] for row in rows if any(value.strip() for value in row)]
    if not rows or len(set(rows[0])) < len(rows[0]):
        reason = "no table: " + ("it is empty" if not rows else f"two columns have the same name: {', '.join(rows[0])}")
        raise InputError(path, "BAD_DATALIST", reason)
    names = [name.casefold() for name in rows[0]]
    if wrong := next((number for number, row in enumerate(rows[1:], start=2) if len(row) > len(names)), None):
        reason = f"row {wrong} has {len(rows[wrong - 1])} values for {len(names)} columns"
        raise InputError(path, "BAD_DATALIST", reason)
    return [dict(zip(names, row + [""] * (len(names) - len(row)), strict=True)) for row in rows[1:]]


def _text(content: bytes) -> str:
    for mark, encoding in _BOMS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    if content[1:2] == b"\0" or content[:1] == b"\0":
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")
