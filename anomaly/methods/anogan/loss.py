"""What generator and critic play for: the original game, or Wasserstein with a gradient penalty."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Judge = Callable[[Tensor], Tensor]


class AdversarialGame:
    """The two losses of a GAN.

    "dcgan": the non-saturating cross-entropy [Goodfellow 2014]. "wgan-gp": Wasserstein distance with the gradient
    penalty $\\lambda (\\|\\nabla D(\\hat x)\\|_2 - 1)^2$ between real and generated [Gulrajani 2017, arXiv 1704.00028,
    eq. 3].

    Args:
        kind: "dcgan" or "wgan-gp".
        penalty: lambda.

    Raises:
        ValueError: an unknown kind.
    """

    def __init__(self, kind: str = "wgan-gp", *, penalty: float = 10.0) -> None:
        if kind not in ("dcgan", "wgan-gp"):
            msg = f"the game must be 'dcgan' or 'wgan-gp', got {kind!r}"
            raise ValueError(msg)
        self.kind, self.penalty = kind, penalty

    def critic(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's loss on patches `(N, 1, *patch)`; no gradient goes to the generator."""
        fake = fake.detach()
        if self.kind == "dcgan":
            return F.softplus(-judge(real)).mean() + F.softplus(judge(fake)).mean()
        distance = judge(fake).mean() - judge(real).mean()
        return distance + self.penalty * gradient_penalty(judge, real, fake)

    def generator(self, judge: Judge, fake: Tensor) -> Tensor:
        """The generator's loss on its patches `(N, 1, *patch)`."""
        return F.softplus(-judge(fake)).mean() if self.kind == "dcgan" else -judge(fake).mean()

    def prior(self, judge: Judge, fake: Tensor) -> Tensor:
        """How unreal each patch looks, `(N,)`: `log(1 - D(G(z)))` [Yeh 2017, eq. 5], or `-D(G(z))` of Wasserstein."""
        answer = judge(fake).flatten()
        return -F.softplus(answer) if self.kind == "dcgan" else -answer


def gradient_penalty(judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
    """The mean of `(|gradient of D| - 1)^2` at random points between real and generated patches `(N, 1, *patch)`."""
    part = torch.rand(real.shape[0], *(1,) * (real.dim() - 1), device=real.device)
    between = (part * real + (1 - part) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(judge(between).sum(), between, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()
