"""`run.json`: what a command did with every case, for machines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_prep.errors import without_folders
from pipelines.problems import ExitCode


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LesionRecord(_Record):
    """One true lesion, and what became of it."""

    volume_ml: float
    overlap: float = Field(description="part of the lesion that is inside the mask")
    dice: float = Field(description="with those parts of the mask that touch the lesion")
    outcome: Literal["outlined", "partly outlined", "missed"]


class TruthRecord(_Record):
    """A case's mask against its true mask."""

    dice: float | None = Field(description="null where the true mask is empty")
    lesions: list[LesionRecord] = Field(description="connected parts of at least the volume asked for")
    mask_ml: float


Unit = Literal["ml", "mm2", "pixels"]
_AREAS = {"mm2": "mm\N{SUPERSCRIPT TWO}", "pixels": "pixels"}


def unit_of(slices: int, flags: Sequence[str]) -> Unit:
    """In which sizes are told: areas for pictures, in pixels where nobody knows how large these are."""
    if slices != 1:
        return "ml"
    return "pixels" if "pixel_size_unknown" in flags else "mm2"


class CaseRecord(_Record):
    """One case: done with a result, or failed or skipped with a reason."""

    case: str
    source: str = Field(description="the file's own name; of what is no file of its own, such as a series, the case's")
    status: Literal["done", "failed", "skipped"]
    code: str | None = None
    reason: str | None = None
    score: float | None = None
    p_value: float | None = None
    abnormal: bool | None = None
    lesions: int | None = None
    volume_ml: float | None = Field(default=None, description="of a picture: of a slice 1 mm thick")
    unit: Unit = Field(default="ml", description="in which sizes are told")
    flags: list[str] = Field(default_factory=list)
    outputs: dict[str, str] = Field(default_factory=dict, description="file names in the output folder")
    sequence: str = Field(default="", description="known words of the series' description, such as FLAIR")
    voxel_mm: str = Field(default="", description="size of a voxel, such as 0.9 x 0.9 x 5 mm")
    slices: int = 0
    bundle: str = Field(default="", description="name and version of the bundle that examined it")
    chosen_because: str = Field(default="", description="why this bundle, where none was named")
    seconds: float = 0.0
    truth: TruthRecord | None = None

    def size(self, volume_ml: float) -> str:
        """A volume in words; of pictures, whose slices count as 1 mm thick, an area.

        >>> CaseRecord(case="a", source="a", status="done", unit="mm2").size(0.5134)
        '513 mm\u00b2'
        """
        if self.unit == "ml":
            return f"{volume_ml:.1f} ml"
        return f"{1000 * volume_ml:.0f} {_AREAS[self.unit]}"

    @property
    def words(self) -> str:
        """Which case it is, and why it is not done."""
        return f"{self.case}: {self.reason} [{self.code}]"

    @classmethod
    def failed(cls, case: str, source: str, *, code: str, reason: str, seconds: float = 0.0) -> CaseRecord:
        """A case that could not be done; the reason names files without their folders."""
        own = own_name(source, case)
        public = _public(reason, source, own)
        return cls(case=case, source=own, status="failed", code=code, reason=public, seconds=seconds)

    @classmethod
    def skipped(cls, case: str, source: str, *, code: str, reason: str) -> CaseRecord:
        """What was found and is not for this bundle: a localizer, a report, another modality."""
        own = own_name(source, case)
        return cls(case=case, source=own, status="skipped", code=code, reason=_public(reason, source, own))


def _public(reason: str, source: str, own: str) -> str:
    """A reason that names its source as outputs do, and no folder."""
    return without_folders(reason.replace(source, own) if source.strip("./") else reason, source)


def own_name(source: str, case: str) -> str:
    """What outputs call a case's source: never a folder, for folders bear patients' names.

    >>> own_name("/data/JANE DOE/flair.nii.gz", "flair"), own_name("/data/JANE DOE/flair", "3f2a9c01b7de")
    ('flair.nii.gz', '3f2a9c01b7de')
    """
    name = source.replace("\\", "/").rpartition("/")[2]
    stem = name.partition(".")[0]
    return name if stem and case.startswith(stem) else case


class LearningRecord(_Record):
    """What the records of commands that learn from scans have in common."""

    schema_version: str = "1.0"
    seconds: float = 0.0
    refused: list[CaseRecord] = Field(default_factory=list, description="scans that could not be read")

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        return ExitCode.SOME_FAILED if self.refused else ExitCode.DONE


class RunRecord(_Record):
    """One run of one command."""

    schema_version: str = "1.0"
    command: str
    started: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    output: str
    report: str | None = None
    bundle: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    cases: list[CaseRecord] = Field(default_factory=list)
    passed_over: str = Field(default="", description="what was found and not used, in words")
    metrics: dict[str, Any] | None = None
    written: dict[str, str] = Field(
        default_factory=dict, description="SHA-256 of the files in the output folder, by name: what may be overwritten"
    )

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        if all(case.status == "skipped" for case in self.cases):
            return ExitCode.NOTHING_FOUND
        return ExitCode.SOME_FAILED if any(case.status == "failed" for case in self.cases) else ExitCode.DONE
