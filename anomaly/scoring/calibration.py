"""Calibration: thresholds and p-values with a promise, from healthy cases alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from anomaly.files import atomically

if TYPE_CHECKING:
    from anomaly.metrics.histogram import ScoreHistogram


RATE = 0.001  # of the voxels
VoxelRule = Literal["pooled", "median"]
_Sorted = TypeVar("_Sorted", list[float], dict[str, list[float]])


class Calibration(BaseModel):
    """What `models/calibration.json` holds.

    The conformal p-value of a score s among n healthy scores is `(1 + #{s_i >= s}) / (n + 1)` [Vovk 2005]: for a
    healthy scan exchangeable with the calibration scans, P(p <= alpha) <= alpha. With n scans no p-value is below
    `1 / (n + 1)`: nine promise 10 %, nineteen 5 %.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    weights_sha256: str
    voxel_threshold: float = Field(ge=0, le=1)
    voxel_false_positive_rate: float = Field(gt=0, lt=1, description="part of healthy body voxels at the threshold")
    voxel_rule: VoxelRule = Field(
        default="pooled",
        description="whose healthy voxels are counted: those of all cases together, or those of the median case",
    )
    image_scores: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        min_length=1, description="of the healthy cases, ascending"
    )
    alpha: float = Field(gt=0, lt=1)
    min_lesion_ml: float = Field(ge=0)
    cases: list[str]
    appearance: dict[str, list[float]] = Field(
        default_factory=dict, description="of the healthy cases, ascending; see `anomaly.scoring.appearance`"
    )
    provenance: dict[str, str] = Field(default_factory=dict, description="who made it, when, and for which bundle")

    @field_validator("image_scores", "appearance")
    @classmethod
    def _ascending(cls, value: _Sorted) -> _Sorted:
        for numbers in value.values() if isinstance(value, dict) else [value]:
            if any(before > after for before, after in pairwise(numbers)):
                msg = "must ascend"
                raise ValueError(msg)
        return value

    @property
    def deciding(self) -> str:
        """What decides a result, as text: two calibrations that agree in it are one configuration."""
        return self.model_dump_json(exclude={"cases", "appearance", "provenance"})

    @property
    def image_threshold(self) -> float:
        """The largest score that is not abnormal: the `ceil((n + 1) (1 - alpha))`-th smallest healthy score.

        Infinite (nothing is ever called abnormal) where n is too small to promise alpha.
        """
        n = len(self.image_scores)
        rank = math.ceil((n + 1) * (1 - self.alpha) - 1e-9)
        return self.image_scores[rank - 1] if rank <= n else math.inf

    def p_value(self, score: float) -> float:
        """The conformal p-value of `score`."""
        n = len(self.image_scores)
        return (1 + sum(healthy >= score for healthy in self.image_scores)) / (n + 1)

    def is_abnormal(self, score: float) -> bool:
        """Is the p-value at most alpha?"""
        return self.p_value(score) <= self.alpha + 1e-9

    def promise(self) -> str:
        """What the number of calibration cases allows to be promised, and what it does not, in words.

        >>> Calibration(weights_sha256="", voxel_threshold=0.5, voxel_false_positive_rate=0.005, alpha=0.1,
        ...     image_scores=[0.1, 0.2], min_lesion_ml=0.3, cases=["a", "b"]).promise()[:63]
        'calibrated on 2 healthy cases: no p-value is below 0.333, so a '
        """
        n, least = len(self.image_scores), math.ceil(1 / self.alpha - 1e-9) - 1
        known = f"calibrated on {n} healthy cases: no p-value is below {1 / (n + 1):.3g}"
        if n < least:
            return (
                f"{known}, so a false-alarm rate of {self.alpha:.0%} cannot be promised and no scan will be called "
                f"abnormal; at least {least} are needed"
            ).replace("%", " %")
        return (
            f"{known}; of healthy scans that are like these, at most {self.alpha:.0%} are called abnormal; a rate "
            f"below {1 / (n + 1):.1%} cannot be promised"
        ).replace("%", " %")

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        with atomically(path) as partial:
            partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read; raises `FileNotFoundError` or pydantic's `ValidationError`."""
        return cls.model_validate_json(Path(path).read_text())


def calibrate(
    histogram: ScoreHistogram,
    scores: Sequence[float],
    *,
    cases: Sequence[str],
    weights_sha256: str,
    voxel_false_positive_rate: float = RATE,
    voxel_rule: VoxelRule = "pooled",
    thresholds: Sequence[float] = (),
    alpha: float = 0.1,
    min_lesion_ml: float = 0.3,
    appearance: Mapping[str, list[float]] | None = None,
) -> Calibration:
    """Calibrate on healthy cases.

    Args:
        histogram: scores of the body's voxels of all the cases.
        scores: the image-level score of each case.
        cases: their names.
        weights_sha256: of the weights that gave the scores.
        voxel_false_positive_rate: part of the healthy body voxels that may reach the voxel threshold; one in a
            thousand is one or two millilitres of a head.
        voxel_rule: "pooled": of the voxels of all cases together; "median": the median of `thresholds`, which a few
            cases with strong artefacts do not move.
        thresholds: for the rule "median" the score that this part of each case's own voxels reaches.
        alpha: rate of false alarms on healthy scans to keep to.
        min_lesion_ml: connected parts below this volume are dropped from masks.
        appearance: of the cases, kept so that scans of another kind can be told later.

    Raises:
        ValueError: there are no cases, or the rule is "median" and there is not one threshold a case.
    """
    if not scores or (voxel_rule == "median" and len(thresholds) != len(scores)):
        msg = f"calibration needs at least one healthy case and all it asks of each, got {len(scores)}"
        raise ValueError(msg)
    pooled = voxel_rule == "pooled"
    return Calibration(
        weights_sha256=weights_sha256,
        voxel_threshold=histogram.quantile(1 - voxel_false_positive_rate) if pooled else median(thresholds),
        voxel_false_positive_rate=voxel_false_positive_rate,
        voxel_rule=voxel_rule,
        image_scores=sorted(scores),
        alpha=alpha,
        min_lesion_ml=min_lesion_ml,
        cases=sorted(cases),
        appearance=dict(appearance or {}),
    )
