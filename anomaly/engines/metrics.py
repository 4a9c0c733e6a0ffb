"""`CohortMetrics`: what an evaluation says of a cohort, with patient-bootstrap intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events
from monai.utils import convert_to_numpy
from scipy.ndimage import median_filter
from sklearn.metrics import roc_auc_score

from anomaly.bundle import load_calibration
from anomaly.engines.examination import lesions_in, scores_of
from anomaly.files import atomically
from anomaly.metrics.bootstrap import image_auroc, interval, resample_patients
from anomaly.metrics.cohort import CaseMeasures, cohort_statistics, measure_case, threshold_free
from anomaly.metrics.histogram import ScoreHistogram
from anomaly.scoring.calibration import Calibration
from anomaly.scoring.lesions import voxel_volume
from anomaly.scoring.score import box_of, box_score

Array = np.ndarray
_RESAMPLES = 1000
_MIN_SLICE_VOXELS = 10  # fewer labelled voxels do not make a slice abnormal


def measure_result(
    item: Mapping[Any, Any],
    result: MutableMapping[str, Any],
    calibration: Calibration,
    *,
    box: tuple[slice, ...] = (),
    in_body: bool = False,
) -> CaseMeasures:
    """Measure one case of an `AnomalyEvaluator` whose `pred` is back on its source's grid.

    Args:
        item: with `case`, and `patient` where it is known; `healthy: false` says that a case without a label is not.
        result: with `pred` and `score`; a case without `label` counts as healthy throughout, unless `item` says not.
        calibration: of the method.
        box: of the source's voxels; what lies outside is not measured. Empty: none.
        in_body: count healthy voxels of the body (`body` of the result) only, not the air.

    Raises:
        ValueError: the label has another shape than the image.
    """
    scores = scores_of(result)
    truth = convert_to_numpy(result["label"])[0] > 0 if "label" in result else np.zeros(scores.shape, bool)
    if scores.shape != truth.shape:
        msg = f"label of {truth.shape} for an image of {scores.shape}"
        raise ValueError(msg)
    mask, _ = lesions_in(result, calibration)
    body = convert_to_numpy(result["body"])[0] > 0.5 if in_body else np.ones(scores.shape, bool)
    score = float(result["score"])
    return measure_case(
        scores[box],
        truth[box],
        body=body[box],
        mask=mask[box] > 0,
        affine=convert_to_numpy(result["pred"].affine),
        case=item["case"],
        patient=str(item.get("patient", item["case"])),
        score=score,
        alarm=calibration.is_abnormal(score),
        box_score=box_score(scores[box]) if box else None,
        abnormal="label" not in result and not bool(item.get("healthy", True)),
    )


class CohortMetrics:
    """Measure the cases of an `AnomalyEvaluator` that have a `label` or say `healthy`, and write `metrics.json`.

    A case that says `healthy: false` and has no label counts in `image_auroc`, `image_ap` and `sensitivity`, and in
    nothing that needs its mask.

    All voxels of all cases are pooled, background included, at the source's resolution: `voxel_ap`, `best_dice`
    (an oracle over thresholds), `dice_at_threshold` (of the cleaned mask at the healthy-calibrated threshold) and the
    others of `cohort_statistics`. `mean_dice_at_threshold` is the mean over cases with a lesion. `slice_auroc` takes
    the highest 1 % of a slice as its score; `image_auroc`, `image_ap` and `false_alarm_rate` need healthy cases, and
    are null without. Intervals are 95 % percentiles over resampled patients.

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
        self.measured: list[CaseMeasures] = []
        self.subtractions: list[ScoreHistogram] = []
        self.cases: list[dict[str, Any]] = []
        self.slices: list[tuple[float, bool]] = []

    def _collect(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        for item, result in zip(batch, output, strict=True):
            score = float(result["score"])
            row = {"case": item["case"], "score": score, "p_value": self.calibration.p_value(score)}
            if "label" in item:
                row |= self._measure(item, {**result, "label": item["label"]})
            elif "healthy" in item:
                row |= {"healthy": bool(item["healthy"])} | self._measure(item, dict(result))
            self.cases.append(row)

    def _measure(self, item: Any, result: dict[str, Any]) -> dict[str, Any]:
        box = box_of(item, self.box_key)
        case = measure_result(item, result, self.calibration, box=box)
        self.measured.append(case)
        scores = scores_of(result)[box]
        truth = convert_to_numpy(item["label"])[0][box] > 0 if "label" in item else np.zeros(scores.shape, bool)
        if case.masked:
            top = max(1, scores[..., 0].size // 100)
            slice_scores = np.partition(scores.reshape(-1, scores.shape[-1]), -top, axis=0)[-top:].mean(axis=0)
            abnormal = truth.sum(axis=(0, 1)) >= _MIN_SLICE_VOXELS
            self.slices += list(zip(slice_scores.tolist(), abnormal.tolist(), strict=True))
        if "subtraction" in result:
            difference = median_filter(np.clip(convert_to_numpy(result["subtraction"])[0], 0, 1), size=3)
            self.subtractions.append(ScoreHistogram().add(difference[box], truth))
        voxel_ml = voxel_volume(convert_to_numpy(result["pred"].affine), scores_of(result).shape)
        return {
            **({"lesion_ml": float(case.voxels[2] * voxel_ml)} if case.masked else {}),
            "mask_ml": float(case.voxels[1] * voxel_ml),
            **({} if case.box_score is None else {"box_score": case.box_score}),
            "dice_at_threshold": _dice(case.voxels) if case.ill and case.masked else None,
        }

    def _finish(self, engine: Any) -> None:
        failed = list(getattr(engine, "failures", []))
        report: dict[str, Any] = {"cases": len(self.cases), "failed": failed}
        if any(case.ill for case in self.measured):
            report |= self._cohort()
        report["per_case"] = self.cases
        self.output_dir.mkdir(parents=True, exist_ok=True)
        with atomically(self.output_dir / "metrics.json") as partial:
            partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        engine.state.metrics |= {key: value for key, value in report.items() if isinstance(value, float)}

    def _cohort(self) -> dict[str, Any]:
        cases = self.measured
        everyone = np.ones((1, len(cases)), dtype=np.int64)
        draws = resample_patients([case.patient for case in cases], resamples=_RESAMPLES, seed=self.seed)
        point, boot = (cohort_statistics(cases, weights) for weights in (everyone, draws))
        ill, alarms = (np.array([getattr(case, name) for case in cases]) for name in ("ill", "alarm"))
        boxes = [case.box_score for case in cases if case.box_score is not None]
        if len(boxes) == len(cases):
            point["image_auroc_in_box"], boot["image_auroc_in_box"] = (
                image_auroc(np.array(boxes), ill, weights) for weights in (everyone, draws)
            )
        compared = self._compared(point, boot, everyone, draws) if len(self.subtractions) == len(cases) else {}
        shown = [case for case in cases if case.ill and case.masked]
        pooled = sum((case.histogram for case in cases if case.masked), start=ScoreHistogram())
        return {
            **{name: float(values[0]) if np.isfinite(values[0]) else None for name, values in point.items()},
            "intervals": {name: interval(values) for name, values in boot.items()},
            **compared,
            "best_dice_threshold": pooled.best_dice()[1] if shown else None,
            "mean_dice_at_threshold": float(np.mean([_dice(case.voxels) for case in shown])) if shown else None,
            "slice_auroc": _auroc([score for score, _ in self.slices], [abnormal for _, abnormal in self.slices]),
            "sensitivity": float(alarms[ill].mean()),
            "voxel_threshold": self.calibration.voxel_threshold,
            "alpha": self.calibration.alpha,
        }

    def _compared(
        self, point: dict[str, Array], boot: dict[str, Array], everyone: Array, draws: Array
    ) -> dict[str, Any]:
        """The subtraction's statistics, and what M gains over it in the same resamples."""
        known = np.array([case.masked for case in self.measured])
        everyone, draws = everyone * known, draws * known
        if not any(case.ill and case.masked for case in self.measured):
            return {}
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


def _dice(voxels: tuple[int, int, int]) -> float:
    hit, mask, truth = voxels
    return 2 * hit / max(mask + truth, 1)


def _auroc(scores: Any, truth: Any) -> float | None:
    """AUROC, or None where there is only one class."""
    labels = np.asarray(truth, dtype=bool)
    return float(roc_auc_score(labels, scores)) if labels.any() and not labels.all() else None
