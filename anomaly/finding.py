"""`Finding`: what is said of one case, as versioned JSON without a word from the patient's header."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from anomaly.precision import Arithmetic

SCHEMA_VERSION = "1.3"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lesion(_Record):
    """One connected part of the mask."""

    volume_ml: float = Field(description="volume in millilitres; in a picture, of a slice 1 mm thick")
    centroid_mm: tuple[float, float, float] = Field(description="centre of mass in RAS+ millimetres")
    peak_score: float = Field(description="highest score inside")
    diameter_mm: float | None = Field(
        default=None, description="largest diameter: the greatest distance between two corners of its voxels"
    )
    slice: int | None = Field(
        default=None,
        description="where it is largest, counted from 1 in the scan's own order, across the thickest axis",
    )
    side: Literal["left", "right", "middle"] | None = Field(
        default=None, description="of the patient, seen from the middle of the field of view"
    )
    area_mm2: float | None = Field(default=None, description="in a picture whose pixel size is known")
    area_pixels: int | None = Field(default=None, description="in a picture, on its own grid")


class BundleId(_Record):
    """Which bundle spoke."""

    name: str
    version: str
    weights_sha256: str


class Thresholds(_Record):
    """The operating point, all from healthy calibration cases."""

    voxel: float = Field(description="scores from here on are in the mask")
    image: float = Field(description="a case with a higher score is called abnormal")
    alpha: float = Field(description="promised rate of false alarms on healthy cases")
    min_lesion_ml: float = Field(description="smaller parts are left out of the mask")


class Finding(_Record):
    """The result for one case. An empty mask is a normal result."""

    schema_version: str = SCHEMA_VERSION
    case: str
    input_hash: str = ""
    series_uid: str | None = None
    bundle: BundleId
    score: float = Field(description="image-level anomaly score in [0, 1]")
    p_value: float = Field(description="conformal: how often a healthy scan scores at least as high")
    abnormal: bool
    lesions: list[Lesion]
    thresholds: Thresholds
    calibration_cases: int
    flags: list[str] = Field(default_factory=list)
    appearance: dict[str, float] = Field(default_factory=dict, description="see `anomaly.scoring.appearance`")
    timings: dict[str, float] = Field(default_factory=dict, description="seconds")
    precision: Arithmetic = Field(default="fp32", description="of the network's arithmetic")
    versions: dict[str, str] = Field(default_factory=dict)
