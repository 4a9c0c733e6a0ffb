"""The trainer of the pre-training, on MONAI's `Trainer`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from monai.engines import IterationEvents, Trainer
from monai.losses import DiceLoss
from torch import Tensor
from torch.optim import Optimizer

from anomaly.engines.step import optimiser_step
from anomaly.methods.pretraining.network import MultiTaskNetwork


class PretrainingTrainer(Trainer):
    r"""Restore, find the damage, segment.

    With the damaged image `y`, the original `x`, the damage `m` and, where there are, labels `s`:
    $10 \| (1 + 4 m) (\hat x - x) \|_1 + BCE(\hat m, m) + Dice(\hat m, m) + w\,CE(\hat s, s)$.

    Args:
        device: where to train; mixed precision is used there when it is CUDA and `amp` is set.
        max_epochs: epochs.
        train_data_loader: batches of `image`, `healthy`, `mask`, each `(B, 1, i, j, k)`, with `source`, one name for
            all of the batch, and `label` `(B, 1, i, j, k)` where the data set has labels.
        network: what to train.
        optimizer: of the network.
        segmentation_weight: w.
        train_handlers: MONAI or Ignite handlers with `attach`.
        **kwargs: the other arguments of `monai.engines.Trainer`.
    """

    def __init__(
        self,
        *,
        device: str | torch.device,
        max_epochs: int,
        train_data_loader: Iterable[Any],
        network: MultiTaskNetwork,
        optimizer: Optimizer,
        segmentation_weight: float = 1.0,
        train_handlers: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(device, max_epochs, train_data_loader, handlers=train_handlers, **kwargs)
        self.network, self.optimizer = network, optimizer
        self.segmentation_weight = segmentation_weight
        self.dice = DiceLoss(batch=True)

    def _iteration(self, engine: Any, batchdata: dict[str, Any]) -> dict[str, Any]:
        device = engine.state.device
        wanted = [key for key in ("image", "healthy", "mask", "label") if key in batchdata]
        batch: dict[str, Tensor] = {key: batchdata[key].to(device) for key in wanted}
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, enabled=self.amp, **self.amp_kwargs):
            answer = self.network(batch["image"], str(batchdata["source"][0]))
        terms = self._terms({name: value.float() for name, value in answer.items()}, batch)
        loss = sum(terms.values(), start=batch["image"].new_zeros(()))
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        optimiser_step(loss, self.optimizer, self.network, scaler=self.scaler if self.amp else None)
        engine.state.output = {"loss": loss.item(), **{f"{name}_loss": value.item() for name, value in terms.items()}}
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output

    def _terms(self, answer: dict[str, Tensor], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        focus = 1 + 4 * batch["mask"]
        terms = {
            "restoration": 10 * (focus * (answer["restored"] - batch["healthy"]).abs()).mean(),
            "damage": F.binary_cross_entropy_with_logits(answer["damage_logit"], batch["mask"])
            + self.dice(torch.sigmoid(answer["damage_logit"]), batch["mask"]),
        }
        if "segmentation" in answer and "label" in batch:
            labels = batch["label"][:, 0].round().long()
            terms["segmentation"] = self.segmentation_weight * F.cross_entropy(answer["segmentation"], labels)
        return terms
