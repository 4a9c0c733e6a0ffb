"""`CohortMetrics`: what an evaluation says of a cohort, with patient-bootstrap intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events
from monai.utils import convert_to_numpy
from scipy.ndimage import median_filter
from sklearn.metrics import roc_auc_score

from anomaly.bundle import load_calibration
from anomaly.files import atomically
from anomaly.metrics.bootstrap import image_auroc, interval, resample_patients
from anomaly.metrics.cohort import threshold_free
from anomaly.metrics.histogram import ScoreHistogram
from anomaly.scoring.lesions import find_lesions
from anomaly.scoring.score import box_of, box_score

Array = np.ndarray
_RESAMPLES = 1000
_OF_IMAGES = {"image_auroc": "score", "image_auroc_in_box": "box_score"}
_MIN_SLICE_VOXELS = 10  # fewer labelled voxels do not make a slice abnormal


class CohortMetrics:
    """Measure the cases of an `AnomalyEvaluator` that have a `label`, and write `metrics.json`.

    All voxels of all cases are pooled, background included, at the source's resolution: `voxel_ap`, `best_dice`
    (an oracle over thresholds) and `dice_at_threshold` (of the cleaned mask at the healthy-calibrated
    threshold). `mean_dice_at_threshold` is the mean over cases with a lesion. `slice_auroc` takes the highest
    1 % of a slice as its score; `image_auroc` and `false_alarm_rate` need healthy cases, and are null without.
    Intervals are 95 % percentiles over resampled patients.

    Where the evaluator gives the `subtraction` of image and twin, `subtraction` holds its `voxel_ap` and `best_dice`
    (smoothed by a median over 3 x 3 x 3 voxels, as in Baur 2021), and `gain` the paired differences of M to it, with
    intervals over the same resamples. Items with one `patient` are drawn together.

    Args:
        bundle_root: the bundle, for its calibration.
        output_dir: where `metrics.json` goes.
        seed: of the bootstrap.
        box_key: name of a box `[[start, stop], ...]` in the source's voxels that an item may have; what lies outside
            is not measured, and `image_auroc_in_box` is that of the mean of the highest 1 % of scores in the box.
    """

    def __init__(
        self, bundle_root: str | Path, output_dir: str | Path, *, seed: int = 0, box_key: str | None = None
    ) -> None:
        self.calibration = load_calibration(bundle_root)
        self.output_dir = Path(output_dir)
        self.seed = seed
        self.box_key = box_key

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _start(self, _: Engine) -> None:
        self.histograms: list[ScoreHistogram] = []
        self.subtractions: list[ScoreHistogram] = []
        self.cases: list[dict[str, Any]] = []
        self.slices: list[tuple[float, bool]] = []

    def _collect(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        for item, result in zip(batch, output, strict=True):
            row = {"case": item["case"], "score": float(result["score"])}
            row["patient"] = str(item.get("patient", item["case"]))
            row["p_value"] = self.calibration.p_value(row["score"])
            if "label" in item:
                box = box_of(item, self.box_key)
                truth = convert_to_numpy(item["label"])[0] > 0
                row |= self._measure(result["pred"], truth, box)
                if "subtraction" in result:
                    difference = median_filter(np.clip(convert_to_numpy(result["subtraction"])[0], 0, 1), size=3)
                    self.subtractions.append(ScoreHistogram().add(difference[box], truth[box]))
            self.cases.append(row)

    def _measure(self, pred: Any, truth: Array, box: tuple[slice, ...]) -> dict[str, Any]:
        scores = np.clip(convert_to_numpy(pred)[0], 0, 1)
        if scores.shape != truth.shape:
            msg = f"label of {truth.shape} for an image of {scores.shape}"
            raise ValueError(msg)
        affine = pred.affine.numpy()
        mask, _ = find_lesions(
            scores,
            affine,
            threshold=self.calibration.voxel_threshold,
            min_lesion_ml=self.calibration.min_lesion_ml,
        )
        scores, truth, mask = scores[box], truth[box], mask[box]
        self.histograms.append(ScoreHistogram().add(scores, truth))
        top = max(1, scores[..., 0].size // 100)
        slice_scores = np.partition(scores.reshape(-1, scores.shape[-1]), -top, axis=0)[-top:].mean(axis=0)
        abnormal = truth.sum(axis=(0, 1)) >= _MIN_SLICE_VOXELS
        self.slices += list(zip(slice_scores.tolist(), abnormal.tolist(), strict=True))
        return {
            "voxels": [int((mask > 0)[truth].sum()), int(mask.sum()), int(truth.sum())],
            "lesion_ml": float(truth.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000),
            "mask_ml": float(mask.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000),
            **({"box_score": box_score(scores)} if box else {}),
        }

    def _finish(self, engine: Any) -> None:
        failed = list(getattr(engine, "failures", []))
        report: dict[str, Any] = {"cases": len(self.cases), "failed": failed}
        if self.histograms and any(histogram.abnormal.any() for histogram in self.histograms):
            report |= self._cohort()
        report["per_case"] = [self._public(row) for row in self.cases]
        self.output_dir.mkdir(parents=True, exist_ok=True)
        with atomically(self.output_dir / "metrics.json") as partial:
            partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        engine.state.metrics |= {key: value for key, value in report.items() if isinstance(value, float)}

    def _cohort(self) -> dict[str, Any]:
        healthy = np.stack([histogram.healthy for histogram in self.histograms])
        abnormal = np.stack([histogram.abnormal for histogram in self.histograms])
        voxels = np.array([row["voxels"] for row in self.cases if "voxels" in row])
        everyone = np.ones((1, len(healthy)), dtype=np.int64)
        point = _statistics(everyone, healthy, abnormal, voxels)
        labelled = [row for row in self.cases if "voxels" in row]
        draws = resample_patients([row["patient"] for row in labelled], resamples=_RESAMPLES, seed=self.seed)
        boot = _statistics(draws, healthy, abnormal, voxels)
        ill = np.array([row["lesion_ml"] > 0 for row in labelled])
        for name, key in _OF_IMAGES.items():
            if all(key in row for row in labelled):
                scores = np.array([row[key] for row in labelled])
                point[name], boot[name] = (image_auroc(scores, ill, weights) for weights in (everyone, draws))
        compared = self._compared(point, boot, everyone, draws) if len(self.subtractions) == len(healthy) else {}
        pooled = sum(self.histograms, start=ScoreHistogram())
        alarms = np.array([row["p_value"] <= self.calibration.alpha + 1e-9 for row in labelled])
        return {
            **{name: float(values[0]) if np.isfinite(values[0]) else None for name, values in point.items()},
            "intervals": {name: interval(values) for name, values in boot.items()},
            **compared,
            "best_dice_threshold": pooled.best_dice()[1],
            "mean_dice_at_threshold": float(np.mean([_dice(row["voxels"]) for row in labelled if row["voxels"][2]])),
            "slice_auroc": _auroc(*zip(*self.slices, strict=True)),
            "sensitivity": float(alarms[ill].mean()) if ill.any() else None,
            "false_alarm_rate": float(alarms[~ill].mean()) if (~ill).any() else None,
            "voxel_threshold": self.calibration.voxel_threshold,
            "alpha": self.calibration.alpha,
        }

    def _compared(
        self, point: dict[str, Array], boot: dict[str, Array], everyone: Array, draws: Array
    ) -> dict[str, Any]:
        """The subtraction's statistics, and what M gains over it in the same resamples."""
        healthy = np.stack([histogram.healthy for histogram in self.subtractions])
        abnormal = np.stack([histogram.abnormal for histogram in self.subtractions])
        other, other_boot = (threshold_free(weights, healthy, abnormal) for weights in (everyone, draws))
        return {
            "subtraction": {name: float(values[0]) for name, values in other.items()},
            "gain": {
                name: {
                    "difference": float(point[name][0] - other[name][0]),
                    "interval": interval(boot[name] - other_boot[name]),
                }
                for name in other
            },
        }

    def _public(self, row: dict[str, Any]) -> dict[str, Any]:
        """A case's row without raw counts, with its Dice (null where there is no lesion)."""
        rest = {key: value for key, value in row.items() if key not in ("voxels", "patient")}
        if "voxels" not in row:
            return rest
        return {**rest, "dice_at_threshold": _dice(row["voxels"]) if row["voxels"][2] else None}


def _statistics(weights: Array, healthy: Array, abnormal: Array, voxels: Array) -> dict[str, Array]:
    """The pooled statistics of each resample.

    Args:
        weights: `(resamples, cases)`, how often each case was drawn.
        healthy: `(cases, BINS)` counts.
        abnormal: `(cases, BINS)` counts.
        voxels: `(cases, 3)`: hit, in the mask, in the lesion.
    """
    counts = weights @ voxels
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            **threshold_free(weights, healthy, abnormal),
            "dice_at_threshold": 2 * counts[:, 0] / (counts[:, 1] + counts[:, 2]),
        }


def _dice(voxels: list[int]) -> float:
    hit, mask, truth = voxels
    return 2 * hit / max(mask + truth, 1)


def _auroc(scores: Any, truth: Any) -> float | None:
    """AUROC, or None where there is only one class."""
    labels = np.asarray(truth, dtype=bool)
    return float(roc_auc_score(labels, scores)) if labels.any() and not labels.all() else None
