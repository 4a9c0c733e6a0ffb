"""The trainer of every method that is one network with one loss, on MONAI's `Trainer`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from monai.engines import IterationEvents, Trainer
from torch import Tensor
from torch.optim import Optimizer

from anomaly.engines.step import optimiser_step


class StatesItsLoss(Protocol):
    """A method that knows what it is to minimise."""

    def losses(self, image: Tensor) -> dict[str, Tensor]:
        """The weighted terms of the loss of healthy images `(B, 1, *spatial)`."""


class MethodTrainer(Trainer):
    """Minimise the sum of `network.losses(image)` on healthy images.

    Its output holds every term as a number, their sum under `loss`.

    Args:
        device: where to train.
        max_epochs: epochs.
        train_data_loader: batches with `image`, `(B, 1, *spatial)` in [0, 1].
        network: what to train; see `StatesItsLoss`.
        optimizer: of the network.
        max_grad_norm: gradients are clipped to this norm.
        train_handlers: MONAI or Ignite handlers with `attach`.
        **kwargs: the other arguments of `monai.engines.Trainer`.
    """

    def __init__(
        self,
        *,
        device: Any,
        max_epochs: int,
        train_data_loader: Iterable[Any],
        network: Any,
        optimizer: Optimizer,
        max_grad_norm: float = 5.0,
        train_handlers: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(device, max_epochs, train_data_loader, handlers=train_handlers, **kwargs)
        self.network, self.optimizer = network, optimizer
        self.max_grad_norm = max_grad_norm

    def _iteration(self, engine: Any, batchdata: dict[str, Tensor]) -> dict[str, Any]:
        image = batchdata["image"].to(engine.state.device)
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        terms = self.network.losses(image)
        loss = sum(terms.values(), start=image.new_zeros(()))
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        optimiser_step(loss, self.optimizer, self.network, max_grad_norm=self.max_grad_norm)
        engine.state.output = {"loss": loss.item(), **{f"{name}_loss": value.item() for name, value in terms.items()}}
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output
