"""Concatenations (PS3.3 C.7.6.16.1): one image over several files, refused where a file of it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from data_prep.dicom.instance import Instance


def mark_incomplete(files: Iterable[Instance]) -> list[Instance]:
    """The files, those of an incomplete concatenation with the fault MISSING_SLICES.

    InConcatenationTotalNumber may be absent: then the numbers have to be without a gap, and the frames of the
    parts before have to reach ConcatenationFrameOffsetNumber.
    """
    files = list(files)
    parts: dict[str, list[Instance]] = {}
    for file in files:
        if file.concatenation[0]:
            parts.setdefault(file.concatenation[0], []).append(file)
    faults = {uid: why for uid, group in parts.items() if (why := _fault(group))}
    return [
        replace(file, fault=("MISSING_SLICES", faults[file.concatenation[0]]))
        if file.fault is None and file.concatenation[0] in faults
        else file
        for file in files
    ]


def _fault(parts: Sequence[Instance]) -> str:
    """What is missing of one concatenation; "" where it is whole, as far as its files say."""
    by_number = {part.concatenation[1]: part for part in parts}
    name, total = parts[0].source.name, max(part.concatenation[2] for part in parts)
    wanted = range(1, (total or max(by_number)) + 1)
    if lost := [number for number in wanted if number not in by_number]:
        of = f" of {total}" if total else ""
        which = ", ".join(map(str, lost[:3])) + (", ..." if len(lost) > 3 else "")
        return f"{name} is one file of an image over several, and part {which}{of} is missing"
    offset = 0
    for number in wanted:
        if by_number[number].concatenation[3] > offset:
            return f"frames are missing before those of {by_number[number].source.name}"
        offset += by_number[number].frames
    return ""
