"""The evaluator: volumes in, score maps in the source's geometry out, one bad case never in the way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from monai.engines import Evaluator, IterationEvents
from monai.inferers import Inferer
from monai.utils import convert_to_dst_type
from torch import nn

from anomaly.engines.examination import examine_prepared
from anomaly.engines.inferer import SlabInferer
from anomaly.method import TWIN
from anomaly.precision import reduced
from anomaly.scoring.score import TOP_FRACTION

_TRUTHS = ("label", "mask")  # of the user's datalist, and of planted anomalies


class AnomalyEvaluator(Evaluator):
    """Run a method over cases, one a batch.

    Its output holds `image` (as the network saw it), `pred` (the score map; `postprocessing` with `ToSourced` takes
    it to the source's grid), `map` and `body` (score map and foreground as the network saw them), `score` (image
    level), `seconds` and `cpu_seconds` (of all threads) of the network, and the item's `label` or `mask`
    where it has one. With `subtraction`, also `subtraction`, `|G(y) - y|` of the same run, for methods that have a
    twin.

    An item that could not be read comes as `{"case": ..., "failure": reason, "code": ...}` (see
    `data_prep.CheckedDataset`); it is listed in `failures`, a list of `{"case", "reason", "code"}` (without a code
    where it came without one), and no handler sees it.

    Args:
        device: where the network runs.
        val_data_loader: batches of one case with `image`, `(1, C, *spatial)` in [0, 1], and `case`.
        network: image to score map; see `anomaly.method.Method`.
        inferer: how to run it; `SlabInferer` by default.
        top_fraction: see `anomaly.scoring.image_score`.
        precision: of the network: auto, fp32 or bf16; see `anomaly.precision`. With `amp`, as bundles of earlier
            versions have it on a GPU, fp32 is auto.
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
        precision: str = "fp32",
        **kwargs: Any,
    ) -> None:
        self.failures: list[dict[str, str]] = []
        super().__init__(device, ReadableCases(val_data_loader, self.failures), **kwargs)
        self.network = network
        self.inferer = inferer or SlabInferer()
        self.top_fraction = top_fraction
        self.subtraction = subtraction
        self.dtype = reduced(torch.device(device), "auto" if self.amp and precision == "fp32" else precision)

    def run(self, global_epoch: int = 1) -> None:
        """Evaluate every case; `failures` starts empty."""
        self.failures.clear()
        super().run(global_epoch)

    def _iteration(self, engine: Any, batchdata: dict[str, Any]) -> dict[str, Any]:
        image = batchdata["image"].to(engine.state.device)
        if image.shape[0] != 1:
            msg = f"one case a batch, got {image.shape[0]}"
            raise ValueError(msg)
        with self.mode(self.network):
            maps = examine_prepared(
                self.network,
                image[0],
                inferer=engine.inferer,
                device=engine.state.device,
                wanted=(TWIN,) if self.subtraction else (),
                dtype=self.dtype,
                top_fraction=self.top_fraction,
            )
        twin = maps.others.get(TWIN)
        engine.state.output = {
            "image": image,
            "pred": _like(maps.score[None], image),
            "map": maps.score,
            "body": torch.as_tensor(maps.body)[None],
            "score": maps.image_score,
            "seconds": maps.seconds,
            "cpu_seconds": maps.cpu_seconds,
            **(
                {}
                if twin is None
                else {"subtraction": _like((twin[None] - image.cpu()).abs().mean(dim=1, keepdim=True), image)}
            ),
            **{key: batchdata[key] for key in _TRUTHS if key in batchdata},
        }
        engine.fire_event(IterationEvents.FORWARD_COMPLETED)
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output


def _like(maps: torch.Tensor, image: torch.Tensor) -> Any:
    """The maps with the image's meta data: a `postprocessing` reads the geometry there."""
    return convert_to_dst_type(maps, image.cpu(), dtype=maps.dtype)[0]


class ReadableCases:
    """A data loader without the items that could not be read; those are appended to `failures`."""

    def __init__(self, loader: Iterable[Any], failures: list[dict[str, str]]) -> None:
        self.loader = loader
        self.failures = failures

    def __iter__(self) -> Any:
        for batch in self.loader:
            if "failure" in batch:
                names = {"case": "case", "failure": "reason", "code": "code"}
                columns = {name: batch[key] for key, name in names.items() if key in batch}
                self.failures += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            else:
                yield batch
