"""What `prepare` reports: a record for the run, and one for each scan."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.problems import ExitCode


class ScanRecord(BaseModel):
    """One scan, and what became of it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    source: str
    status: Literal["prepared", "left out", "refused"]
    code: str = ""
    reason: str = ""
    patient: str = ""
    site: str = ""
    section: str = ""
    image: str = Field(default="", description="path below the output folder")
    images: list[str | None] = Field(
        default_factory=list, description="of several sequences, paths below the output folder; null: missing"
    )
    label: str = Field(default="", description="path below the output folder")
    shape: list[int] = Field(default_factory=list)
    spacing_mm: list[float] = Field(default_factory=list)
    abnormal_voxels: int | None = Field(default=None, description="of the mask; null: there is none")
    flags: list[str] = Field(default_factory=list)


class PrepareRecord(BaseModel):
    """One run of `healthytwin prepare`."""

    model_config = ConfigDict(extra="forbid")

    schema_version: str = "1.0"
    command: str = "prepare"
    output: str
    layouts: dict[str, str] = Field(default_factory=dict, description="layout of each source")
    preparation: dict[str, Any] = Field(default_factory=dict)
    people: list[str] = Field(default_factory=list, description="what was read of tables of people, and how")
    datalist: str | None = None
    contact_sheet: str | None = None
    seconds: float = 0.0
    scans: list[ScanRecord] = Field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """Scans of each section, and of each other status."""
        return Counter(scan.section or scan.status for scan in self.scans)

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        if not any(scan.status == "prepared" for scan in self.scans):
            return ExitCode.SOME_FAILED if self.counts["refused"] else ExitCode.NOTHING_FOUND
        return ExitCode.SOME_FAILED if self.counts["refused"] else ExitCode.DONE
