"""From the paths of a command line to cases with names of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.problems import CommandError
from pipelines.record import CaseRecord

if TYPE_CHECKING:
    from data_prep import Case, InputError


def gather_cases(paths: Iterable[Path]) -> tuple[list[Case], list[CaseRecord]]:
    """The cases at `paths`, each image once, and a record for every path that could not be searched.

    Masks and score maps that an earlier run wrote there are no cases. Case names that occur at several
    paths get a suffix: `-2`, `-3`, ...

    Raises:
        CommandError: none of the paths exists.
    """
    from data_prep import InputError

    cases: list[Case] = []
    errors: list[InputError] = []
    for path in paths:
        try:
            cases += _cases_at(path)
        except InputError as error:
            errors.append(error)
    if errors and not cases and all(error.code == "MISSING_FILE" for error in errors):
        raise CommandError("; ".join(str(error) for error in errors))
    return _named(cases), [_record(error) for error in errors]


def _cases_at(path: Path) -> list[Case]:
    """The cases at a path; a file named by the user that is no image is an error, not an empty place."""
    from data_prep import list_cases, read_volume

    found = list_cases(path)
    if not found and path.is_file() and path.suffix != ".json":
        read_volume(path)
    return found


def _named(cases: Iterable[Case]) -> list[Case]:
    images: set[Path] = set()
    names: set[str] = set()
    named: list[Case] = []
    for case in cases:
        image = Path(case.image).resolve()
        if image in images or _is_result(image):
            continue
        images.add(image)
        name, number = case.name, 1
        while name in names:
            number += 1
            name = f"{case.name}-{number}"
        names.add(name)
        named.append(replace(case, name=name))
    return named


def _is_result(image: Path) -> bool:
    """Is this a mask or score map of an earlier run, with its finding beside it?"""
    for end in ("_mask.nii.gz", "_score.nii.gz"):
        if image.name.endswith(end):
            return image.with_name(image.name.removesuffix(end) + ".json").is_file()
    return False


def _record(error: InputError) -> CaseRecord:
    name = Path(error.path).name.removesuffix(".gz").removesuffix(".nii") or str(error.path)
    return CaseRecord.failed(name, str(error.path), code=error.code, reason=error.reason)
