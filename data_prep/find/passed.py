"""`PassedOver`: files that were found and not used, counted and named, so that nothing is left out without a word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple, TypeVar

from data_prep.formats.source import Source

_Item = TypeVar("_Item")
_MANY = 8  # kinds in one sentence
_ENDING = re.compile(
    r"(?<=.)(?:\.[a-z][a-z0-9]{0,7})?\.(?:gz|bz2)$|(?<=.)\.[a-z][a-z0-9]{0,7}$"
)  # others are parts of UIDs, dates or names


class Why(StrEnum):
    """Why a file is passed over."""

    LINK = "link"
    ABSENT = "link to a file that is not here"
    SPECIAL = "pipe, socket or device"
    PICTURE = "picture of one slice"
    OTHER = "file that is not an image"
    VOXELS = "voxels of a header beside it"  # a part of what is used, so not counted


class Passed(NamedTuple):
    """Files of one kind that are passed over.

    Args:
        why: the reason.
        suffix: of their names, such as `.txt`; "" where they have none that is usual.
        files: how many.
        first: the name of one.
    """

    why: Why
    suffix: str
    files: int
    first: str

    @classmethod
    def of(cls, source: Source, why: Why = Why.OTHER) -> Passed:
        """One file."""
        name = source.name
        ending = _ENDING.search(name.lower())
        return cls(why, ending[0] if ending else "", 1, name)


class PassedOver:
    """What was passed over, kind by kind; memory does not grow with the number of files.

    >>> passed = PassedOver()
    >>> passed.add(Passed(Why.OTHER, ".txt", 2, "notes.txt"))
    >>> passed.sentence()
    'passed over: 2 files that are not images (.txt 2), such as notes.txt'
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[Why, str], Passed] = {}

    def __iter__(self) -> Iterator[Passed]:
        return iter(sorted(self._kinds.values()))

    def __len__(self) -> int:
        """How many files."""
        return sum(kind.files for kind in self._kinds.values())

    def add(self, passed: Passed) -> None:
        """Some more."""
        if passed.why is Why.VOXELS:
            return
        key = (passed.why, passed.suffix)
        before = self._kinds.get(key)
        self._kinds[key] = passed if before is None else before._replace(files=before.files + passed.files)

    def kept_from(self, items: Iterable[_Item | Passed]) -> Iterator[_Item]:
        """The items that are not passed over; those that are, are counted."""
        for item in items:
            if isinstance(item, Passed):
                self.add(item)
            else:
                yield item

    def sentence(self, *, named: bool = True) -> str:
        """All of it in words; "" where it is nothing.

        Args:
            named: name the first file of each kind; file names may name patients.
        """
        kinds = "; ".join(self._of(why, named) for why in dict.fromkeys(one.why for one in self))
        return f"passed over: {kinds}" if kinds else ""

    def _of(self, why: Why, named: bool) -> str:
        kinds = sorted((kind for kind in self if kind.why is why), key=lambda kind: -kind.files)
        count = sum(kind.files for kind in kinds)
        endings = ", ".join(f"{kind.suffix or 'no ending'} {kind.files}" for kind in kinds[:_MANY])
        such = f", such as {kinds[0].first}" if named else ""
        return f"{count} {_PLURAL[why] if count > 1 else why.value} ({endings}){such}"


_PLURAL = {
    Why.LINK: "links",
    Why.ABSENT: "links to files that are not here",
    Why.SPECIAL: "pipes, sockets or devices",
    Why.PICTURE: "pictures of one slice",
    Why.OTHER: "files that are not images",
}
