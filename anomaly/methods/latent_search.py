"""Searching what generated an image: gradient descent on inputs of a network whose weights stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Losses = Callable[..., Tensor]


def search(start: Sequence[Tensor], losses: Losses, *, iterations: int, rate: float) -> tuple[list[Tensor], Tensor]:
    """Minimise, for every sample of a batch on its own, a loss over some variables by Adam.

    Works inside `torch.inference_mode` as well, and leaves the gradients of all weights alone.

    Args:
        start: the variables `(N, ...)` at the beginning; they are not changed.
        losses: from the variables to the loss of each sample, `(N,)`; a sample's must not depend on the others.
        iterations: steps.
        rate: Adam's learning rate.

    Returns:
        The variables after the last step, and the losses `(N,)` there, without a gradient.
    """
    with torch.inference_mode(False), torch.enable_grad():
        variables = [value.detach().clone().requires_grad_() for value in start]
        optimizer = torch.optim.Adam(variables, lr=rate)
        for _ in range(iterations):
            gradients = torch.autograd.grad(losses(*variables).sum(), variables)
            for variable, gradient in zip(variables, gradients, strict=True):
                variable.grad = gradient
            optimizer.step()
        with torch.no_grad():
            final = losses(*variables)
    return [variable.detach() for variable in variables], final


def best_restart(found: Tensor, losses: Tensor, restarts: int) -> Tensor:
    """Of `(restarts * N, ...)` searched in one batch, restart by restart, the `(N, ...)` with the least losses."""
    choices = losses.view(restarts, -1).argmin(dim=0)
    by_restart = found.reshape(restarts, -1, *found.shape[1:])
    return by_restart[choices, torch.arange(choices.numel(), device=choices.device)]
