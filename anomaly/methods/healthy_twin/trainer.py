"""The adversarial trainer of HealthyTwin, on MONAI's `Trainer`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from monai.engines import IterationEvents, Trainer
from monai.losses import PatchAdversarialLoss
from torch import Tensor, nn
from torch.optim import Optimizer

from anomaly.engines.step import discriminator_loss, optimiser_step
from anomaly.methods.healthy_twin.loss import HealthyTwinLoss
from anomaly.methods.healthy_twin.method import HealthyTwin
from anomaly.precision import autocast, reduced


class HealthyTwinTrainer(Trainer):
    """Train generator and discriminator in turn on healthy images with planted anomalies.

    MONAI's own `AdversarialTrainer` never fires `MODEL_COMPLETED`, so neither decollating nor postprocessing
    would run; this trainer fires all `IterationEvents`. Its output holds `image`, `healthy`, `mask` (the truth),
    `pred` (M), `twin` and every loss term as a number, the generator's total under `loss`.

    Args:
        device: where to train.
        max_epochs: epochs of `epoch_length` steps.
        train_data_loader: batches of `image` (planted), `healthy` and `mask`, each `(B, 1, *spatial)`.
        network: the method to train.
        optimizer: of the network.
        discriminator: judges composites; its patches' logits feed a least-squares loss [Mao 2017].
        d_optimizer: of the discriminator.
        loss_function: the generator's loss without the adversary.
        adversarial_weight: of the generator's adversarial term after the ramp.
        adversarial_ramp: steps over which that weight grows from 0; the discriminator trains from the start.
        max_grad_norm: gradients of the network are clipped to this norm.
        precision: of the networks' forward passes: auto, fp32 or bf16; see `anomaly.precision`. Losses, gradients and
            weights are float32 throughout. With `amp`, as configs of earlier versions have it on a GPU, fp32 is auto.
        train_handlers: MONAI or Ignite handlers with `attach`.
        **kwargs: the other arguments of `monai.engines.Trainer`.
    """

    def __init__(
        self,
        *,
        device: str | torch.device,
        max_epochs: int,
        train_data_loader: Iterable[Any],
        network: HealthyTwin,
        optimizer: Optimizer,
        discriminator: nn.Module,
        d_optimizer: Optimizer,
        loss_function: HealthyTwinLoss | None = None,
        adversarial_weight: float = 0.05,
        adversarial_ramp: int = 200,
        max_grad_norm: float = 5.0,
        precision: str = "fp32",
        train_handlers: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(device, max_epochs, train_data_loader, handlers=train_handlers, **kwargs)
        self.network, self.optimizer = network, optimizer
        self.discriminator, self.d_optimizer = discriminator, d_optimizer
        self.loss_function = loss_function or HealthyTwinLoss()
        self.adversarial_loss = PatchAdversarialLoss(criterion="least_squares")
        self.adversarial_weight, self.adversarial_ramp = adversarial_weight, adversarial_ramp
        self.max_grad_norm = max_grad_norm
        self.dtype = reduced(torch.device(device), "auto" if self.amp and precision == "fp32" else precision)
        self.scaler = torch.amp.GradScaler("cuda") if self.dtype is torch.float16 else None

    def _iteration(self, engine: Any, batchdata: dict[str, Tensor]) -> dict[str, Any]:
        batch = {key: batchdata[key].to(engine.state.device) for key in ("image", "healthy", "mask")}
        if any(not torch.is_floating_point(value) for value in batch.values()):
            msg = f"image, healthy and mask must be floating point, got {[value.dtype for value in batch.values()]}"
            raise ValueError(msg)
        self.network.train()
        self.discriminator.train()
        explained, terms = self._generator_step(engine, batch)
        terms["discriminator"] = self._discriminator_step(engine, batch["healthy"], explained["composite"].detach())
        engine.state.output = {
            **batch,
            "pred": explained["mask"].detach(),
            "twin": explained["twin"].detach(),
            "loss": terms["generator"].item(),
            **{f"{name}_loss": value.item() for name, value in terms.items()},
        }
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output

    def _generator_step(self, engine: Any, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        self.discriminator.requires_grad_(False)
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(engine.state.device, self.dtype):
            explained = self.network.explain(batch["image"])
        explained = {name: value.float() for name, value in explained.items()}
        engine.fire_event(IterationEvents.FORWARD_COMPLETED)
        terms = self.loss_function(explained, batch["healthy"], batch["mask"])
        weight = self.adversarial_weight * min(1.0, engine.state.iteration / max(1, self.adversarial_ramp))
        with autocast(engine.state.device, self.dtype):
            logits = self.discriminator(explained["composite"]).float()
        terms["adversarial"] = weight * self.adversarial_loss(logits, target_is_real=True, for_discriminator=False)
        terms["generator"] = terms["generator"] + terms["adversarial"]
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        self._step(terms["generator"], self.optimizer, self.network)
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        self.discriminator.requires_grad_(True)
        return explained, terms

    def _discriminator_step(self, engine: Any, healthy: Tensor, composite: Tensor) -> Tensor:
        self.d_optimizer.zero_grad(set_to_none=True)

        def judge(images: Tensor) -> Tensor:
            with autocast(engine.state.device, self.dtype):
                logits: Tensor = self.discriminator(images)
            return logits.float()

        loss = discriminator_loss(self.adversarial_loss, judge, healthy, composite)
        self._step(loss, self.d_optimizer, self.discriminator)
        return loss

    def _step(self, loss: Tensor, optimizer: Optimizer, network: nn.Module) -> None:
        """Backward and step, through the gradient scaler where float16 needs one."""
        optimiser_step(loss, optimizer, network, scaler=self.scaler, max_grad_norm=self.max_grad_norm)
