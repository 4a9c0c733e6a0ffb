"""The trainer of a `LatentGan`, on MONAI's `Trainer`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from monai.engines import IterationEvents, Trainer
from torch import Tensor
from torch.optim import Optimizer

from anomaly.methods.anogan.loss import AdversarialGame
from anomaly.networks.latent_gan import LatentGan


class LatentGanTrainer(Trainer):
    """Train the critic at every step and the generator at every few, on healthy patches.

    MONAI's `GanTrainer` shows the critic the same patches at all of its steps; here each step has patches of its own,
    as in Gulrajani 2017. The output holds `critic_loss`, `generator_loss` (of its last step) and their sum as `loss`.

    Args:
        device: where to train.
        max_epochs: epochs.
        train_data_loader: batches with `image`, `(B, 1, *patch)` in [0, 1].
        gan: what to train.
        optimizer: of the generator.
        critic_optimizer: of the critic.
        game: the losses.
        critic_steps: of the critic for one of the generator: 5 for Wasserstein, 1 for DCGAN.
        train_handlers: MONAI or Ignite handlers with `attach`.
        **kwargs: the other arguments of `monai.engines.Trainer`.

    Raises:
        ValueError: a batch has patches of another size.
    """

    def __init__(
        self,
        *,
        device: Any,
        max_epochs: int,
        train_data_loader: Iterable[Any],
        gan: LatentGan,
        optimizer: Optimizer,
        critic_optimizer: Optimizer,
        game: AdversarialGame | None = None,
        critic_steps: int = 5,
        train_handlers: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(device, max_epochs, train_data_loader, handlers=train_handlers, **kwargs)
        self.gan, self.optimizer, self.critic_optimizer = gan, optimizer, critic_optimizer
        self.game = game or AdversarialGame()
        self.critic_steps = critic_steps
        self.generator_loss = 0.0

    def _iteration(self, engine: Any, batchdata: dict[str, Tensor]) -> dict[str, Any]:
        real = batchdata["image"].to(engine.state.device)
        if real.shape[2:] != (self.gan.patch,) * self.gan.spatial_dims:
            msg = f"patches of {self.gan.patch} are needed along {self.gan.spatial_dims} axes, got {tuple(real.shape)}"
            raise ValueError(msg)
        self.gan.train()
        critic_loss = self._critic_step(real)
        if engine.state.iteration % self.critic_steps == 0:
            self.generator_loss = self._generator_step(real.shape[0])
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        engine.state.output = {
            "loss": critic_loss + self.generator_loss,
            "critic_loss": critic_loss,
            "generator_loss": self.generator_loss,
        }
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output

    def _critic_step(self, real: Tensor) -> float:
        self.critic_optimizer.zero_grad(set_to_none=True)
        loss = self.game.critic(self.gan.judge, real, self.gan.generate(self.gan.draw(real.shape[0])))
        loss.backward()  # type: ignore[no-untyped-call]
        self.critic_optimizer.step()
        return loss.item()

    def _generator_step(self, count: int) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        self.gan.critic.requires_grad_(False)
        loss = self.game.generator(self.gan.judge, self.gan.generate(self.gan.draw(count)))
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.gan.critic.requires_grad_(True)
        return loss.item()
