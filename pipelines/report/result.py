"""What the examination of one case gave, and the volumes that a report draws of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipelines.record import CaseRecord

if TYPE_CHECKING:
    from anomaly import Finding
    from pipelines.report.volumes import Volumes


VIEWED = 20  # cases with volumes for the viewer of a report


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is known of one case once it has been worked on.

    Args:
        record: its line in `run.json`.
        finding: None where it failed.
        picture: a PNG of its most abnormal slices; None where it failed or no report was wanted.
        volumes: volumes for the viewer of a report; None where it has none.
    """

    record: CaseRecord
    finding: Finding | None = None
    picture: bytes | None = None
    volumes: Volumes | None = None


def spare_volumes(results: list[Result]) -> None:
    """Drop the volumes of the lowest score where more than 20 results have some, so that memory stays bounded."""
    viewed = [index for index, result in enumerate(results) if result.volumes is not None]
    if len(viewed) > VIEWED:
        lowest = min(viewed, key=lambda index: results[index].record.score or 0.0)
        results[lowest] = replace(results[lowest], volumes=None)
