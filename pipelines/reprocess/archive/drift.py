"""Drift: have the scans of an archive moved away from those that the calibration was made of?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from pipelines.machine.files import write_whole
from pipelines.problems import CommandError
from pipelines.reprocess.ledger.ledger import Row

if TYPE_CHECKING:
    from anomaly.scoring import Calibration
    from anomaly.scoring.drift import Shift
    from pipelines.reprocess.plan import Model

FOLDER = "calibrations"  # of an archive: one file for every configuration
LEVEL = 0.01  # of all tests of a batch together
_AGAIN = "the scanner, its protocol or the patients may have changed: calibrate again, with healthy scans of today"


class ShiftRecord(BaseModel):
    """One statistic; see `anomaly.scoring.drift.Shift`."""

    model_config = ConfigDict(extra="forbid")

    name: str
    scans: int
    healthy: int
    distance: float
    p_value: float
    higher: bool
    moved: bool


class DriftRecord(BaseModel):
    """The scans of one configuration against its calibration."""

    model_config = ConfigDict(extra="forbid")

    configuration: str
    level: float = LEVEL
    shifts: list[ShiftRecord] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list, description="the scans have moved")
    notes: list[str] = Field(default_factory=list, description="what cannot be said, and why")


def keep(archive: Path, model: Model) -> None:
    """Keep a configuration's calibration in the archive, to compare with later.

    Raises:
        CommandError: it cannot be written.
    """
    path = archive / FOLDER / f"{model.configuration}.json"
    try:
        path.parent.mkdir(exist_ok=True)
        write_whole(path, model.calibration.model_dump_json(indent=2) + "\n")
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}"
        raise CommandError(msg) from error


def kept(archive: Path, configuration: str) -> Calibration | None:
    """The calibration that was kept; None where there is none that can be read."""
    from anomaly.scoring import Calibration

    try:
        return Calibration.load(archive / FOLDER / f"{configuration}.json")
    except (OSError, ValueError):
        return None


def latest(rows: Sequence[Row]) -> str:
    """The configuration that the last finished job had; "" where there is none."""
    return max(rows, key=lambda row: row["changed"])["configuration"] if rows else ""


def drift(calibration: Calibration, rows: Sequence[Row], configuration: str) -> DriftRecord:
    """Compare.

    Args:
        calibration: of the configuration.
        rows: of the ledger, done.
        configuration: those of others are passed over.
    """
    from anomaly.scoring.drift import SCORE, shifts

    record = DriftRecord(configuration=configuration)
    of_it = [row for row in rows if row["configuration"] == configuration]
    found = shifts(calibration, [row["score"] for row in of_it], [row["appearance"] or {} for row in of_it])
    if not found:
        return record
    level = LEVEL / len(found)  # Bonferroni
    moved = {shift.name: shift for shift in found if shift.p_value <= level}
    record.shifts = [ShiftRecord(**vars(shift), moved=shift.name in moved) for shift in found]
    if not found[0].can_tell(level):
        record.notes.append(
            f"{found[0].scans} scans against {found[0].healthy} healthy ones are too few to tell whether they moved"
        )
    if len(found) == 1:
        record.notes.append(
            "this calibration knows only scores; one of `healthytwin calibrate` knows how scans look, too"
        )
    looks = [shift for name, shift in moved.items() if name != SCORE]
    if looks:
        record.warnings.append(f"the scans look unlike those of the calibration ({_words(looks)}); {_AGAIN}")
    if SCORE in moved:
        _of_scores(record, moved[SCORE], looks_alike=len(found) > 1 and not looks)
    return record


def _of_scores(record: DriftRecord, shift: Shift, *, looks_alike: bool) -> None:
    """Lower scores are never explained by disease; higher ones may be."""
    if not shift.higher:
        record.warnings.append(
            f"the scans score lower than the healthy ones of the calibration ({_words([shift])}); {_AGAIN}"
        )
    elif looks_alike:
        record.notes.append("the scans score higher than healthy ones, and look like them: abnormal scans explain that")
    else:
        record.warnings.append(
            f"the scans score higher than the healthy ones of the calibration ({_words([shift])}): many are abnormal, "
            f"or {_AGAIN}"
        )


def _words(moved: Sequence[Shift]) -> str:
    return ", ".join(
        f"{shift.name} {'higher' if shift.higher else 'lower'}, p = {shift.p_value:.1g}" for shift in moved
    )
