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
