"""Natural order: slice 9 before slice 10."""

from __future__ import annotations

import re
from pathlib import Path

_DIGITS = re.compile(r"(\d+)")


def natural_key(path: str | Path) -> tuple[list[tuple[int, int, str]], str]:
    """A sort key under which numbers within names count as numbers.

    >>> sorted(["s10", "s9", "S1"], key=natural_key)
    ['S1', 's9', 's10']
    """
    parts = [part for part in _DIGITS.split(str(path).casefold()) if part]
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts], str(path)


def sort_text(path: str | Path) -> str:
    """Text that a database sorts in natural order: each run of digits behind the number of its digits.

    >>> sorted(["s10", "s9", "S1"], key=sort_text)
    ['S1', 's9', 's10']
    """
    text = _DIGITS.sub(lambda match: f"{len(match[0].lstrip('0')):03d}{match[0].lstrip('0')}", str(path).casefold())
    return f"{text}\1{path}"
