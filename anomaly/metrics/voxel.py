"""Ignite metrics over the voxels of a whole run: average precision and best Dice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric
from monai.utils import convert_to_numpy

from anomaly.metrics.histogram import ScoreHistogram

_STATISTICS: dict[str, Callable[[ScoreHistogram], float]] = {
    "average_precision": ScoreHistogram.average_precision,
    "best_dice": lambda histogram: histogram.best_dice()[0],
}


class VoxelMetric(Metric):
    """A statistic of all voxels that an engine has seen, pooled.

    `update` receives `(scores, truth)`: two tensors of one shape, or two sequences of such; scores in [0, 1],
    truth above 0 where abnormal.

    Args:
        statistic: "average_precision" or "best_dice".
        output_transform: from the engine's output to `(scores, truth)`.
        device: Ignite's; the counts themselves are on the CPU.

    Raises:
        ValueError: an unknown statistic.
    """

    def __init__(
        self,
        statistic: str = "average_precision",
        output_transform: Callable[[Any], Any] = lambda output: output,
        device: str | torch.device = "cpu",
    ) -> None:
        if statistic not in _STATISTICS:
            msg = f"unknown statistic {statistic!r}; there are {list(_STATISTICS)}"
            raise ValueError(msg)
        self.statistic = statistic
        super().__init__(output_transform, device=device)

    def reset(self) -> None:
        """Forget all voxels."""
        self.histogram = ScoreHistogram()

    def update(self, output: Sequence[Any]) -> None:
        """Count the voxels of one iteration."""
        scores, truth = output
        pairs = zip(scores, truth, strict=True) if isinstance(scores, list | tuple) else [(scores, truth)]
        for values, labels in pairs:
            self.histogram.add(convert_to_numpy(values), convert_to_numpy(labels))

    def compute(self) -> float:
        """The statistic; raises `NotComputableError` before any abnormal voxel was seen."""
        if not self.histogram.abnormal.any():
            msg = f"{self.statistic} needs at least one abnormal voxel"
            raise NotComputableError(msg)
        return _STATISTICS[self.statistic](self.histogram)
