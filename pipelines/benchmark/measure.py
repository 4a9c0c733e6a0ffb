"""One method over the validation and the test scans: calibrated on the ones, measured on the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data import DataLoader
from scipy.ndimage import median_filter
from torch import Tensor, nn

from anomaly.engines import AnomalyEvaluator, CalibrationHandler
from anomaly.engines.examination import scores_of
from anomaly.engines.metrics import measure_result
from anomaly.metrics import CaseMeasures
from anomaly.scoring import Calibration, foreground
from anomaly.scoring.score import box_of
from data_prep.files import atomically
from pipelines.terminal.progress import progress

if TYPE_CHECKING:
    from pipelines.benchmark.cohort import Cohort

Array = np.ndarray


class PostProcessed(nn.Module):
    """What every method's score map goes through: a median over 3 x 3 voxels of each slice, and the body mask.

    Args:
        method: maps `(B, C, i, j, k)` to a score map `(B, 1, i, j, k)`.
        spacing: voxel size in mm.
        margin: mm below the surface, within each slice, that do not belong to the body: skin and skull.
    """

    def __init__(self, method: nn.Module, *, spacing: Sequence[float] = (1.0, 1.0, 1.0), margin: float = 0.0) -> None:
        super().__init__()
        self.method, self.spacing, self.margin = method, tuple(spacing), margin

    def forward(self, image: Tensor) -> Tensor:
        """The score map in [0, 1], 0 outside the body."""
        scores, volumes = self.method(image).float().cpu().numpy(), image.cpu().numpy()
        body = foreground(volumes).any(axis=1, keepdims=True)
        if self.margin > 0:
            body &= np.stack([self._inside(_shown(volume))[None] for volume in volumes])
        smooth = median_filter(scores, size=(1, 1, 3, 3, 1)) * body
        return torch.as_tensor(np.clip(smooth, 0, 1), device=image.device)

    def _inside(self, volume: Array) -> Array:
        from data_prep.transforms.body import head_depth
        from data_prep.transforms.intensity import tissue_mask

        return head_depth(tissue_mask(volume), self.spacing) > self.margin


def _shown(channels: Array) -> Array:
    """The first of several sequences that is not missing."""
    return next((channel for channel in channels if channel.any()), channels[0])


@dataclass
class Picture:
    """One slice of a test case as a method sees it, for the page.

    Args:
        case: its name.
        level: which slice, along the last axis.
        truth: `(i, j)` bool.
        score: `(i, j)`.
    """

    case: str
    level: int
    truth: Array
    score: Array


@dataclass
class Measured:
    """What is known of a method after its run."""

    cases: list[CaseMeasures] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)


def calibrate_method(network: nn.Module, cohort: Cohort, folder: Path, device: torch.device) -> Calibration:
    """Calibrate on the healthy validation scans, as bundles are; weights and `calibration.json` go to `folder`."""
    with atomically(folder / "model.pt") as partial, partial.open("wb") as stream:
        torch.save(network.state_dict(), stream)
    handler = CalibrationHandler(folder / "model.pt", folder / "calibration.json")
    loader = DataLoader(cohort.volumes("validation"), batch_size=1, num_workers=0)
    _run(network, loader, device, "calibrating", val_handlers=[handler])
    return Calibration.load(folder / "calibration.json")


def measure(
    network: nn.Module,
    cohort: Cohort,
    calibration: Calibration,
    device: torch.device,
    *,
    shown: Sequence[str],
    box_key: str | None = None,
) -> Measured:
    """Measure a method on every test scan, on the scan's own grid.

    Args:
        network: of the method, with its post-processing.
        cohort: whose test scans.
        calibration: of the method.
        device: where it runs.
        shown: names of the cases of which a picture is wanted.
        box_key: name of a box `[[start, stop], ...]` in the scan's voxels that an item may have: what lies outside is
            not measured, and the image's score is that of the box. Alarms go by that of the whole image, as calibrated.
    """
    from ignite.engine import Events

    measured = Measured()
    dataset, back = cohort.examined()

    def collect(engine: Any) -> None:
        for item, result in zip(engine.state.batch, engine.state.output, strict=True):
            box = box_of(item, box_key)
            _collect(measured, item, result, calibration, box=box, picture=item["case"] in shown)

    loader = DataLoader(dataset, batch_size=1, num_workers=0)
    evaluator = _run(
        network, loader, device, "measuring", postprocessing=back, on=[(Events.ITERATION_COMPLETED, collect)]
    )
    measured.failed = list(evaluator.failures)
    return measured


def _run(network: nn.Module, loader: Any, device: torch.device, what: str, *, on: Any = (), **options: Any) -> Any:
    from ignite.engine import Events

    evaluator = AnomalyEvaluator(device=device, val_data_loader=loader, network=network.to(device), **options)
    for event, handler in on:
        evaluator.add_event_handler(event, handler)
    with progress(len(loader), what) as begin:

        def started(engine: Any) -> None:
            case = engine.state.batch["case"]
            begin(case if isinstance(case, str) else case[0])

        evaluator.add_event_handler(Events.ITERATION_STARTED, started)
        evaluator.run()
    return evaluator


def _collect(
    measured: Measured, item: Any, result: Any, calibration: Calibration, *, box: tuple[slice, ...], picture: bool
) -> None:
    case = measure_result(item, result, calibration, box=box, in_body=True)
    # an organ's box has a score of its own, by which its cases are ranked; alarms are of the whole scan
    measured.cases.append(case if case.box_score is None else replace(case, score=case.box_score))
    measured.seconds.append(float(result["seconds"]))
    measured.cpu_seconds.append(float(result["cpu_seconds"]))
    if picture:
        scores = scores_of(result)
        truth = np.asarray(result["label"])[0] > 0 if "label" in result else np.zeros(scores.shape, bool)
        measured.pictures.append(_picture(item["case"], scores, truth))


def _picture(case: str, scores: Array, truth: Array) -> Picture:
    """The slice with most of the lesion, or the middle one."""
    level = int(truth.sum(axis=(0, 1)).argmax()) if truth.any() else truth.shape[-1] // 2
    return Picture(case, level, truth[..., level], scores[..., level].astype(np.float16))


def timed(call: Any, *arguments: Any, **options: Any) -> tuple[Any, float]:
    """What a call gives, and its seconds."""
    started = time.perf_counter()
    answer = call(*arguments, **options)
    return answer, time.perf_counter() - started
