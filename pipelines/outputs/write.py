"""A case's files: its result, which always stays, and what is made about it, which succeeds or leaves a flag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.outputs.table import FAILED, OUTPUTS, Examined, Output, write_extras

if TYPE_CHECKING:
    from anomaly import Examination


def write_case(
    examined: Examined, folder: Path, rows: Sequence[Output], *, unless: str = ""
) -> tuple[dict[str, str], Examination]:
    """Write the result of a case, and what is wanted beside it.

    An empty mask is a normal result: it gives no segmentation, and a report that says so.

    Args:
        examined: the case.
        folder: that is there.
        rows: what is wanted beside the result.
        unless: why nothing is to be made beside the result; "": it is to be.

    Returns:
        File names by kind, as in `OUTPUTS`; and the examination with the flags that its finding has got.
    """
    from anomaly.engines.writer import write_examination

    made, faults = write_extras(examined, folder, () if unless else rows)
    left = [f"{row.rule}{FAILED}{unless}" for row in rows] if unless else flags_of(faults)
    exam = examined.exam
    flags = list(dict.fromkeys([*exam.finding.flags, *left]))
    exam = replace(exam, finding=exam.finding.model_copy(update={"flags": flags}))
    result = write_examination(exam, examined.volume.affine, folder)
    return {**{kind: path.name for kind, path in result.items()}, **made}, exam


def flags_of(faults: Mapping[str, Exception]) -> list[str]:
    """What a finding says of outputs that could not be made: which one, and for want of which element of the header.

    >>> from pipelines.outputs.header import HeaderError
    >>> flags_of({"seg": HeaderError("StudyInstanceUID"), "view": MemoryError(), "view_score": MemoryError()})
    ['seg_failed:StudyInstanceUID', 'viewer_failed:MemoryError']
    """
    flags = [f"{OUTPUTS[kind].rule}{FAILED}{_cause(error)}" for kind, error in faults.items()]
    return list(dict.fromkeys(flags))


def _cause(error: Exception) -> str:
    """The element of the header, the reason code of an input, or the type of an error that nobody expects."""
    return str(getattr(error, "keyword", "") or getattr(error, "code", "") or type(error).__name__)
