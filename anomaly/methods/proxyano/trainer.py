"""The trainer of ProxyAno, on MONAI's `Trainer`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monai.engines import IterationEvents, Trainer
from monai.losses import PatchAdversarialLoss
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.optim import Optimizer

from anomaly.engines.step import discriminator_loss, optimiser_step
from anomaly.methods.proxyano.method import ProxyAno, paste

WEIGHTS = {"proxy": 10.0, "entropy": 2e-4, "reconstruction": 1.0, "pseudo": 1.0, "adversarial": 0.1}


class ProxyAnoTrainer(Trainer):
    r"""Train proxy extraction and image reconstruction together, against a discriminator of the reconstructions.

    With the image x, its superpixel image s, the extracted proxy $\hat s$ and the reconstruction R:
    $10 \|s - \hat s\|_1 + 0.0002 H + \|x - R(\hat s)\|_1 + \|x - R(p)\|_1 + 0.1 L_{adv}$, where H is the entropy of the
    memory's addressing, p is s with a box of another image of the batch, and the adversary is least-squares.

    Args:
        device: where to train.
        max_epochs: epochs.
        train_data_loader: batches with `image` and `proxy` (its `superpixel_image`), each `(B, 1, *spatial)` in [0, 1].
        network: what to train.
        optimizer: of the network.
        discriminator: of patches, such as `SliceDiscriminator`.
        d_optimizer: of the discriminator.
        weights: of the terms, by name.
        train_handlers: MONAI or Ignite handlers with `attach`.
        **kwargs: the other arguments of `monai.engines.Trainer`.
    """

    def __init__(
        self,
        *,
        device: Any,
        max_epochs: int,
        train_data_loader: Iterable[Any],
        network: ProxyAno,
        optimizer: Optimizer,
        discriminator: nn.Module,
        d_optimizer: Optimizer,
        weights: Mapping[str, float] | None = None,
        train_handlers: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(device, max_epochs, train_data_loader, handlers=train_handlers, **kwargs)
        self.network, self.optimizer = network, optimizer
        self.discriminator, self.d_optimizer = discriminator, d_optimizer
        self.weights = {**WEIGHTS, **(weights or {})}
        self.adversarial_loss = PatchAdversarialLoss(criterion="least_squares")

    def _iteration(self, engine: Any, batchdata: dict[str, Tensor]) -> dict[str, Any]:
        image, proxy = (batchdata[key].to(engine.state.device) for key in ("image", "proxy"))
        self.network.train()
        self.discriminator.train()
        self.discriminator.requires_grad_(False)
        self.optimizer.zero_grad(set_to_none=True)
        extracted, entropy = self.network.extract(image)
        rebuilt = self.network.reconstruct(extracted)
        terms = {
            "proxy": F.l1_loss(extracted, proxy),
            "entropy": entropy,
            "reconstruction": F.l1_loss(rebuilt, image),
            "pseudo": F.l1_loss(self.network.reconstruct(paste(proxy, image.roll(1, dims=0))), image),
            "adversarial": self.adversarial_loss(
                self.discriminator(rebuilt), target_is_real=True, for_discriminator=False
            ),
        }
        terms = {name: self.weights[name] * value for name, value in terms.items()}
        loss = sum(terms.values(), start=image.new_zeros(()))
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        optimiser_step(loss, self.optimizer, self.network)
        self.discriminator.requires_grad_(True)
        judged = self._judge(image, rebuilt.detach())
        engine.state.output = {
            "loss": loss.item(),
            "discriminator_loss": judged,
            **{f"{name}_loss": value.item() for name, value in terms.items()},
        }
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output

    def _judge(self, real: Tensor, fake: Tensor) -> float:
        self.d_optimizer.zero_grad(set_to_none=True)
        loss = discriminator_loss(self.adversarial_loss, self.discriminator, real, fake)
        optimiser_step(loss, self.d_optimizer, self.discriminator)
        return float(loss.item())
