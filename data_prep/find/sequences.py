"""Which sequence a file's name tells, and what of the name is the visit's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from data_prep.series import file_name

SYNONYMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "t1c": ("t1c", "t1ce", "t1gd", "t1post", "t1km", "t1wce"),
        "t1": ("t1", "t1w", "t1n", "mprage", "t1mprage", "t1wks"),
        "t2star": ("t2star", "t2s", "gre"),
        "flair": ("flair", "t2f", "t2flair", "t2wflair"),
        "t2": ("t2", "t2w"),
        "pd": ("pd", "pdw"),
        "dwi": ("dwi", "dwib1000", "trace"),
        "adc": ("adc",),
        "swi": ("swi",),
        "mra": ("mra", "tof"),
        "ct": ("ct",),
        "pet": ("pet", "suv"),
    }
)
"""Of each sequence the words by which file names and people call it; BraTS's, BIDS's and others'."""
_SPECIAL = (
    "adc",
    "swi",
    "flair",
    "t1c",
    "t2star",
    "mra",
    "dwi",
    "pd",
    "t1",
    "t2",
    "ct",
    "pet",
)  # FLAIR is also called T2
_CANONICAL = {word: name for name, words in SYNONYMS.items() for word in words}
_NUMBERED = re.compile(r"^(?P<rest>.+)_(?P<number>\d{4})$")  # nnU-Net: CASE_0000, CASE_0001
_BIDS = re.compile(r"^(sub-[^_]+)(?:_(ses-[^_]+))?(?=_|$)")
_WORD = re.compile(r"[A-Za-z0-9]+")


class NameParts(NamedTuple):
    """What a path tells.

    Args:
        visit: of all files of one visit the same: the folder and what is left of the name.
        sequence: a name of `SYNONYMS`, or the number of nnU-Net's channel such as 0000; "" where it tells none.
    """

    visit: str
    sequence: str


def canonical(name: str) -> str:
    """One name for all that a sequence is called.

    >>> canonical("T1w"), canonical("T1CE"), canonical("bold")
    ('t1', 't1c', 'bold')
    """
    word = re.sub(r"[^a-z0-9]", "", name.lower())
    return _CANONICAL.get(word, word)


def parse_name(path: str, *, named: Iterable[str] = ()) -> NameParts:
    """What the path of a scan tells of its visit and sequence: the last word of the name that is one, or the folder's.

    Args:
        path: with forward slashes.
        named: sequences that are looked for beside the known ones.

    >>> parse_name("case0/FLAIR.nii.gz"), parse_name("a/BraTS20_001_t1ce.nii"), parse_name("b/lung_003_0001.nii.gz")
    (NameParts(visit='case0/', sequence='flair'), NameParts(visit='a/BraTS20_001', sequence='t1c'), \
NameParts(visit='b/lung_003', sequence='0001'))
    >>> parse_name("IXI-T1/IXI002-T1.nii.gz"), parse_name("t2/case7.nii"), parse_name("anat/sub-1_acq-3d_T1w.nii")
    (NameParts(visit='IXI/IXI002', sequence='t1'), NameParts(visit='/case7', sequence='t2'), \
NameParts(visit='anat/sub-1', sequence='t1'))
    """
    folder, slash, name = path.rpartition("/")
    stem, wanted = file_name(name), {canonical(one) for one in named} | set(SYNONYMS)
    if match := _NUMBERED.match(stem):
        return NameParts(f"{folder}{slash}{match['rest']}", match["number"])
    above, mark, last = folder.rpartition("/")
    rest, sequence = _cut(stem, wanted)
    last, of_folder = _cut(last, wanted)
    if not sequence and not of_folder:
        return NameParts(f"{folder}{slash}{stem}", "")
    if of_folder in (sequence or of_folder, sequence):
        folder = f"{above}{mark}{last}"
    if match := _BIDS.match(stem):
        rest = "_".join(filter(None, match.groups()))
    return NameParts(f"{folder}{slash}{rest}", sequence or of_folder)


def _cut(name: str, wanted: set[str]) -> tuple[str, str]:
    """A name without its last word that is a sequence, and that sequence; "" where none is."""
    for match in reversed(list(_WORD.finditer(name))):
        if (found := canonical(match[0])) in wanted:
            return (name[: match.start()].rstrip("_-. ") + name[match.end() :]).strip("_-. "), found
    return name, ""


def sequence_name(description: str) -> str:
    """The sequence that a series description tells, the most special word of it; "" where it tells none.

    >>> sequence_name("AX T2 FLAIR FS"), sequence_name("t1_mprage_sag_p2_iso"), sequence_name("ep2d_diff_ADC")
    ('flair', 't1', 'adc')
    """
    words = {canonical(match[0]) for match in _WORD.finditer(re.sub("_", " ", description))}
    return next((name for name in _SPECIAL if name in words), "")


def visits(paths: Sequence[str], *, named: Sequence[str] = ()) -> list[NameParts]:
    """What each path tells, by all paths together.

    A word that looks like a sequence is one only where several files of a visit differ in it, or where sequences are
    named; a number is a channel only where it begins at 0000.

    Args:
        paths: of scans.
        named: the sequences that are wanted.
    """
    found = [parse_name(path, named=named) for path in paths]
    count = Counter(one.visit for one in found)
    numbered = any(one.sequence == "0000" for one in found)
    kept = []
    for path, one in zip(paths, found, strict=True):
        is_one = bool(named) or count[one.visit] > 1
        if one.sequence.isdigit() and not numbered:
            is_one = False
        plain = NameParts(path[: len(path) - len(path.rpartition("/")[2])] + file_name(path), "")
        kept.append(one if one.sequence and is_one else plain)
    return kept


def place_of(sequence: str, named: Sequence[str]) -> int | None:
    """Which of the named sequences this one is; nnU-Net's numbers count them; None: it is none of them."""
    if sequence.isdigit():
        number = int(sequence)
        return number if number < len(named) else None
    names = [canonical(one) for one in named]
    return names.index(sequence) if sequence in names else None
