"""One step of an optimiser, the same for every trainer."""

from __future__ import annotations

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
