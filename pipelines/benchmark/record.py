"""`leaderboard.json`: what a benchmark says, for machines."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipelines.problems import ExitCode
from pipelines.record import CaseRecord

TRAINED_HERE = "trained here"
"""What HealthyTwin is made of where no bundle is given."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MethodRun(_Record):
    """What one method's run cost, or why it failed."""

    key: str = Field(description="stands for data, settings and version; another key, another run")
    made_of: str | None = Field(default=None, description="where that can differ; the row's title says it, too")
    error: str | None = None
    training_seconds: float = 0.0
    shared_seconds: float = Field(default=0.0, description="of that, for a part that several methods share")
    calibration_seconds: float = 0.0
    seconds_per_volume: float = Field(default=0.0, description="of the network and its post-processing, on test scans")
    cpu_seconds_per_volume: float | None = Field(
        default=None, description="of all threads, which no other job on the machine prolongs; null on a GPU"
    )
    peak_mib: int | None = Field(default=None, description="of the whole process, or of the GPU where there is one")
    parameters: int = 0
    voxel_threshold: float | None = Field(default=None, description="from healthy validation scans")
    failed: list[dict[str, str]] = Field(default_factory=list, description="test scans that could not be read")


class Value(_Record):
    """A statistic; null where it is not defined, such as an AUROC without healthy cases."""

    value: float | None
    interval: tuple[float, float] | None = Field(description="95 %, over resampled patients")


class Difference(_Record):
    """The best method's statistic minus this one's, over the same resamples; above 0: the best is better."""

    value: float | None
    interval: tuple[float, float] | None


class Row(_Record):
    """One method."""

    method: str
    title: str
    source: str
    metrics: dict[str, Value] = Field(default_factory=dict)
    behind_best: dict[str, Difference] = Field(default_factory=dict, description="empty for the best itself")
    run: MethodRun
    over_healthy_twin: float | None = Field(
        default=None, description="CPU seconds (on a GPU: seconds) a volume over HealthyTwin's; null if one was not run"
    )


class BenchmarkRecord(_Record):
    """One benchmark."""

    schema_version: str = "1.0"
    command: str = "benchmark"
    datalist: str
    output: str
    effort: dict[str, Any] = Field(description="settings of the trainings")
    seed: int
    margin: float = Field(default=0.0, description="mm below the surface that no score map covers")
    box_key: str | None = Field(default=None, description="of the datalist's boxes, outside which nothing is measured")
    section: str
    resamples: int = 1000
    training: int
    validation: int
    test: int
    abnormal: int = Field(default=0, description="test cases with a lesion")
    ranked_by: str = "voxel_ap"
    rows: list[Row] = Field(default_factory=list, description="the best first, those that failed last")
    refused: list[CaseRecord] = Field(default_factory=list, description="healthy scans that could not be read")
    seconds: float = 0.0
    provenance: dict[str, Any] = Field(default_factory=dict)
    page: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        unread = any(row.run.error or row.run.failed for row in self.rows)
        return ExitCode.SOME_FAILED if unread or self.refused else ExitCode.DONE
