"""`check_labelled`: a measurement needs labels, and says so before any work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.problems import CommandError

if TYPE_CHECKING:
    from data_prep import Case


def check_labelled(datalist: Path, section: str, *, flat: bool | None = None) -> list[Case]:
    """The cases of a section.

    Args:
        datalist: the datalist or its folder.
        section: of the datalist.
        flat: of `list_cases`.

    Raises:
        InputError: the datalist is missing or has no such section.
        CommandError: there are cases, and none has a label, or says whether it is healthy.
    """
    from data_prep import list_cases

    cases = list_cases(datalist, section, flat=flat)
    if cases and not any(case.label is not None or "healthy" in case.meta for case in cases):
        msg = (
            f"{datalist}: no case of the section {section!r} has a label to measure against; `healthytwin detect` "
            "takes scans without labels, `healthytwin plant` makes a labelled test set from healthy ones"
        )
        raise CommandError(msg)
    return cases
