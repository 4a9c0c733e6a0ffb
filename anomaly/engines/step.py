"""One step of an optimiser, the same for every trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from anomaly.engines.distributed import average_gradients


def optimiser_step(
    loss: Tensor, optimizer: Optimizer, network: nn.Module, *, scaler: Any = None, max_grad_norm: float = 5.0
) -> None:
    """Backward, mean over the processes, clip, step.

    Args:
        loss: of the network.
        optimizer: of the network.
        network: whose gradients are averaged and clipped.
        scaler: of mixed precision; None without it.
        max_grad_norm: gradients are clipped to this norm.
    """
    (loss if scaler is None else scaler.scale(loss)).backward()
    if scaler is not None:
        scaler.unscale_(optimizer)
    average_gradients(network)
    nn.utils.clip_grad_norm_(network.parameters(), max_grad_norm)
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()


def discriminator_loss(
    adversarial: Callable[..., Tensor], discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor
) -> Tensor:
    """The mean of what a discriminator pays for healthy images and for made ones.

    Args:
        adversarial: such as `monai.losses.PatchAdversarialLoss`.
        discriminator: from images to logits.
        real: `(B, 1, *spatial)`.
        fake: `(B, 1, *spatial)`, detached from what made it.
    """
    of_real = adversarial(discriminator(real), target_is_real=True, for_discriminator=True)
    of_fake = adversarial(discriminator(fake), target_is_real=False, for_discriminator=True)
    return 0.5 * (of_real + of_fake)
