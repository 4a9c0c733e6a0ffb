"""The site file: which series count, what is written, and within which limits. Checked before any work."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipelines.outputs.rules import OutputRules
from pipelines.pacs.targets import StoreNode
from pipelines.pacs.tls import Tls
from pipelines.problems import CommandError

Modality = Literal["MR", "CT", "PT", "CR", "DX", "MG", "IO", "PX", "US", "OP", "OPT", "XC"]


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SeriesRules(_Part):
    """Which series count."""

    modalities: list[Modality] | None = Field(default=None, description="null: those of the bundle")
    min_slices: Annotated[int, Field(ge=2)] = 2
    allow_gaps: bool = Field(default=False, description="fill missing slices in, and say so")


class Limits(_Part):
    """Bounds that are kept."""

    attempts: Annotated[int, Field(ge=1, le=100)] = Field(default=3, description="before a case is quarantined")
    lease_seconds: Annotated[float, Field(ge=1, le=86400)] = Field(
        default=120, description="without a sign of life after which another worker takes a case over"
    )
    case_seconds: Annotated[float, Field(ge=1, le=86400)] = Field(
        default=3600, description="after which the worker of a case is ended"
    )
    free_gb: Annotated[float, Field(ge=0)] = Field(default=2, description="of the disk that stay free")
    lock_seconds: Annotated[float, Field(ge=0.1, le=3600)] = Field(
        default=60, description="to wait for the ledger while another process writes to it"
    )


class FetchRules(_Part):
    """Bounds of what a DICOMweb service may send."""

    timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=60, description="seconds without a byte; also those after which `slowest_kb` counts"
    )
    slowest_kb: Annotated[float, Field(ge=0.001)] = Field(default=10, description="a second, on average")
    series_seconds: Annotated[float, Field(ge=1)] = Field(default=3600, description="for one series")
    object_mb: Annotated[float, Field(ge=0.001)] = Field(default=512, description="of one image")
    series_gb: Annotated[float, Field(ge=0.001)] = Field(default=8, description="of one series")


class ReceiveRules(_Part):
    """What `healthytwin receive` takes from the site file."""

    tls: Tls | None = Field(default=None, description="certificates; null: without TLS")


class SendRules(_Part):
    """Where segmentations and reports are sent: one of the two."""

    stow: str | None = Field(default=None, pattern="^https?://[^@]+$", description="address of a DICOMweb service")
    store: StoreNode | None = None
    give_up_after: Annotated[int, Field(ge=1)] = Field(
        default=5, description="cases in a row that it did not answer to; the next run tries again"
    )

    @model_validator(mode="after")
    def _one(self) -> SendRules:
        if (self.stow is None) == (self.store is None):
            msg = "name either stow or store"
            raise ValueError(msg)
        return self


class Site(_Part):
    """One site's settings; every one has a default."""

    series: SeriesRules = SeriesRules()
    outputs: OutputRules = OutputRules()
    limits: Limits = Limits()
    receive: ReceiveRules = ReceiveRules()
    fetch: FetchRules = FetchRules()
    send: SendRules | None = Field(default=None, description="null: nothing is sent")
    device: str | None = Field(default=None, description="cpu, cuda, cuda:1; null: cuda where there is one")
    trusted_bundles: list[Sha256] | None = Field(
        default=None, description="SHA-256 of bundles as a whole, as `healthytwin doctor` tells them; null: any"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="of the network's arithmetic; auto: bf16 where the processor has it"
    )
    calibration: Path | None = Field(default=None, description="of the site; null: the bundle's own")
    ledger: str | None = Field(default=None, description="SQLAlchemy URL; null: ledger.sqlite in the archive")

    @property
    def configuration(self) -> str:
        """SHA-256 of what decides a result: limits, device and ledger do not."""
        deciding = {
            "allow_gaps": self.series.allow_gaps,
            "outputs": self.outputs.model_dump(mode="json"),
            **({} if self.precision == "auto" else {"precision": self.precision}),
        }
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def load_site(path: Path | None) -> Site:
    """The site file at `path`; None: the defaults.

    Raises:
        CommandError: it cannot be read, or says what no site file may say; the message names the setting.
    """
    if path is None:
        return Site()
    import yaml

    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"{path}: cannot be read as a site file: {' '.join(str(error).split())}"
        raise CommandError(msg) from error
    try:
        return Site.model_validate({} if settings is None else settings)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in error.errors()]
        msg = f"{path}: {'; '.join(faults)}"
        raise CommandError(msg) from error
