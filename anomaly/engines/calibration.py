"""`CalibrationHandler`: calibrate on the healthy cases that an evaluator runs over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.utils import convert_to_numpy

from anomaly.bundle import sha256_of
from anomaly.engines.examination import appearance_of
from anomaly.scoring.healthy import HealthyScores
from anomaly.scoring.score import TOP_FRACTION


class CalibrationHandler:
    """Collect the healthy scores of an `AnomalyEvaluator`'s run and write `calibration.json` at its end.

    Several items with one `patient` (or, where that is not said, with one `case`: its healthy runs) count as one case,
    named after the first: exchangeability is between patients.

    Args:
        weights: the weights file that the evaluator runs with; its SHA-256 is written too.
        path: the file to write.
        top_fraction: see `anomaly.scoring.image_score`.
        **options: `voxel_false_positive_rate`, `voxel_rule`, `alpha`, `min_lesion_ml` of `anomaly.scoring.calibrate`.
    """

    def __init__(
        self, weights: str | Path, path: str | Path, *, top_fraction: float = TOP_FRACTION, **options: Any
    ) -> None:
        self.weights, self.path = Path(weights), Path(path)
        self.top_fraction, self.options = top_fraction, options

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _start(self, _: Engine) -> None:
        self.healthy = HealthyScores(top_fraction=self.top_fraction)
        self.names = dict[str, str]()  # of each patient: the first case

    def _collect(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        for item, result in zip(batch, output, strict=True):
            scores, body = convert_to_numpy(result["map"]), convert_to_numpy(result["body"])
            name = self.names.setdefault(str(item.get("patient", item["case"])), item["case"])
            self.healthy.add(name, scores[body], appearance_of(result))

    def _finish(self, _: Engine) -> None:
        calibration = self.healthy.calibrate(weights_sha256=sha256_of(self.weights), **self.options)
        calibration.save(self.path)
