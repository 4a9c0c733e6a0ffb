"""The evaluator: volumes in, score maps in the source's geometry out, one bad case never in the way."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import torch
from monai.engines import Evaluator, IterationEvents
from monai.inferers import Inferer
from monai.utils import convert_to_numpy
from torch import nn

from anomaly.engines.inferer import SlabInferer
from anomaly.scoring.score import TOP_FRACTION, foreground, image_score

_TRUTHS = ("label", "mask")  # of the user's datalist, and of planted anomalies


class AnomalyEvaluator(Evaluator):
    """Run a method over cases, one a batch.

    Its output holds `image` (as the network saw it), `pred` (the score map; `postprocessing` with `Invertd` takes
    it to the source's grid), `map` and `body` (score map and foreground as the network saw them), `score` (image
    level), `seconds` and `cpu_seconds` (of all threads) of the network, and the item's `label` or `mask` where it has
    one. With `subtraction`, also `subtraction`, `|G(y) - y|` of the same run, for methods that have a twin.

    An item that could not be read comes as `{"case": ..., "failure": reason}` (see `data_prep.CheckedDataset`); it
    is listed in `failures`, a list of `{"case", "reason"}`, and no handler sees it.

    Args:
        device: where the network runs.
        val_data_loader: batches of one case with `image`, `(1, 1, *spatial)` in [0, 1], and `case`.
        network: a method: image to score map.
        inferer: how to run it; `SlabInferer` by default.
        top_fraction: see `anomaly.scoring.image_score`.
        subtraction: also keep what the seeds' way of subtracting the twin would answer.
        **kwargs: the other arguments of `monai.engines.Evaluator`.
    """

    def __init__(
        self,
        *,
        device: str | torch.device,
        val_data_loader: Iterable[Any],
        network: nn.Module,
        inferer: Inferer | None = None,
        top_fraction: float = TOP_FRACTION,
        subtraction: bool = False,
        **kwargs: Any,
    ) -> None:
        self.failures: list[dict[str, str]] = []
        super().__init__(device, ReadableCases(val_data_loader, self.failures), **kwargs)
        self.network = network
        self.inferer = inferer or SlabInferer()
        self.top_fraction = top_fraction
        self.subtraction = subtraction and hasattr(network, "examine")

    def run(self, global_epoch: int = 1) -> None:
        """Evaluate every case; `failures` starts empty."""
        self.failures.clear()
        super().run(global_epoch)

    def _iteration(self, engine: Any, batchdata: dict[str, Any]) -> dict[str, Any]:
        image = batchdata["image"].to(engine.state.device)
        if image.shape[0] != 1:
            msg = f"one case a batch, got {image.shape[0]}"
            raise ValueError(msg)
        started, cpu_started = time.perf_counter(), time.process_time()
        device = engine.state.device.type
        with self.mode(self.network), torch.autocast(device, enabled=self.amp and device == "cuda"):
            answer = engine.inferer(image, self._both if self.subtraction else self.network).float()
        pred = answer[:, :1]
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        score_map, body = convert_to_numpy(pred)[0, 0], foreground(convert_to_numpy(image)[0, 0])
        engine.state.output = {
            "image": image,
            "pred": pred,
            "map": torch.as_tensor(score_map)[None],
            "body": torch.as_tensor(body)[None],
            "score": image_score(score_map, body, fraction=self.top_fraction),
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            **({"subtraction": answer[:, 1:]} if self.subtraction else {}),
            **{key: batchdata[key] for key in _TRUTHS if key in batchdata},
        }
        engine.fire_event(IterationEvents.FORWARD_COMPLETED)
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output

    def _both(self, image: torch.Tensor) -> torch.Tensor:
        """M and `|G(y) - y|`, `(B, 2, *spatial)`."""
        examine: Any = self.network.examine
        told = examine(image)
        return torch.cat([told["mask"], (told["twin"] - image).abs()], dim=1)


class ReadableCases:
    """A data loader without the items that could not be read; those are appended to `failures`."""

    def __init__(self, loader: Iterable[Any], failures: list[dict[str, str]]) -> None:
        self.loader = loader
        self.failures = failures

    def __iter__(self) -> Any:
        for batch in self.loader:
            if "failure" in batch:
                pairs = zip(batch["case"], batch["failure"], strict=True)
                self.failures += [{"case": case, "reason": reason} for case, reason in pairs]
            else:
                yield batch
