"""`HealthyScores`: what a calibration needs of healthy cases, taken in one scan after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from anomaly.metrics.histogram import ScoreHistogram
from anomaly.scoring.calibration import RATE, Calibration, calibrate
from anomaly.scoring.score import TOP_FRACTION, image_score

Array = np.ndarray


class HealthyScores:
    """Scores of healthy cases.

    Several scans with one `case` (the healthy runs of one patient) count as one case: exchangeability is between
    patients.

    Args:
        top_fraction: see `anomaly.scoring.image_score`.
    """

    def __init__(self, *, top_fraction: float = TOP_FRACTION) -> None:
        self.top_fraction = top_fraction
        self.histogram = ScoreHistogram()
        self.scores: dict[str, list[Array]] = {}
        self.appearances: dict[str, list[Mapping[str, float]]] = {}

    def add(self, case: str, scores: Array, appearance: Mapping[str, float]) -> None:
        """Take a scan in.

        Args:
            case: its patient.
            scores: `(n,)` in [0, 1], of the body's voxels.
            appearance: of `anomaly.scoring.appearance`.
        """
        self.histogram.add(scores)
        self.scores.setdefault(case, []).append(scores)
        self.appearances.setdefault(case, []).append(appearance)

    def calibrate(self, **options: Any) -> Calibration:
        """The calibration that follows from all cases.

        Args:
            **options: `weights_sha256` and the other options of `anomaly.scoring.calibrate`.

        Raises:
            ValueError: there are no cases.
        """
        pooled = {case: np.concatenate(parts) for case, parts in self.scores.items()}
        scores = [
            image_score(values, np.ones(values.shape, bool), fraction=self.top_fraction) for values in pooled.values()
        ]
        if options.get("voxel_rule") == "median":
            part = 1 - options.get("voxel_false_positive_rate", RATE)
            options["thresholds"] = [float(np.quantile(values, part)) for values in pooled.values()]
        return calibrate(self.histogram, scores, cases=list(pooled), appearance=self._appearance(), **options)

    def _appearance(self) -> dict[str, list[float]]:
        """Under every statistic its values, one a case, ascending."""
        parts = [rows for rows in self.appearances.values() if all(rows)]
        names = parts[0][0].keys() if parts else ()
        return {name: sorted(float(np.mean([one[name] for one in rows])) for rows in parts) for name in names}
