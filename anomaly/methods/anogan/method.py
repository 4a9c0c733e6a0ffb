"""AnoGAN: search the healthy patch that is most like the image, and subtract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor

from anomaly.method import SinglePass
from anomaly.methods.latent_search import best_restart, search
from anomaly.networks.latent_gan import LatentGan
from anomaly.scoring.score import foreground


class AnoGan(SinglePass):
    r"""AnoGAN [Schlegl 2017, IPMI, arXiv 1703.05921] on the patches of an image of any size.

    For each patch x, z is searched so that $(1 - \lambda) L_R + \lambda L_D$ is least (eq. 5), with the residual
    loss $L_R = \sum |x - G(z)|$ (eq. 2) and the discrimination loss by feature matching,
    $L_D = \sum |f(x) - f(G(z))|$ (eq. 4). The score map is `|x - G(z)|` after the last step.

    Args:
        gan: trained on healthy patches; its size is the patch's.
        iterations: steps of the search; the paper's is 500.
        rate: learning rate of the search.
        weight: lambda; the paper's is 0.1.
        restarts: searches for each patch, all from other z; the one with the least loss counts.
        overlap: of neighbouring patches, as a part of their size; where they overlap they are averaged.
        batch: patches searched at once.
    """

    def __init__(
        self,
        gan: LatentGan,
        *,
        iterations: int = 500,
        rate: float = 0.02,
        weight: float = 0.1,
        restarts: int = 1,
        overlap: float = 0.25,
        batch: int = 64,
    ) -> None:
        super().__init__()
        self.gan = gan.eval()
        self.iterations, self.rate, self.weight, self.restarts = iterations, rate, weight, restarts
        self.tiles = patchwise(gan, overlap=overlap, batch=batch)

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """`twin` G(z) and `score` `|x - G(z)|`, each `(B, 1, *spatial)` in [0, 1]."""
        twin = self.tiles(image, lambda patches: self.gan.generate(self.invert(patches)))
        return {"twin": twin, "score": (image - twin).abs()}

    def invert(self, patches: Tensor) -> Tensor:
        """The z, `(N, latent)`, of patches `(N, 1, *patch)`; the same for every call."""
        repeated = patches.repeat(self.restarts, *(1,) * (patches.dim() - 1))
        with torch.no_grad():
            features = self.gan.features(repeated)

        def losses(latent: Tensor) -> Tensor:
            terms = self._terms(repeated, features, latent)
            return (1 - self.weight) * terms["residual"] + self.weight * terms["discrimination"]

        start = self.gan.draw(len(repeated), torch.Generator().manual_seed(0))
        (found,), final = search([start], losses, iterations=self.iterations, rate=self.rate)
        return best_restart(found, final, self.restarts)

    def patch_scores(self, patches: Tensor) -> dict[str, Tensor]:
        """The paper's scores of whole patches `(N, 1, *patch)`, each `(N,)`.

        Returns:
            `residual` R(x), `discrimination` D(x) and `score` `A(x) = (1 - lambda) R(x) + lambda D(x)` (eq. 6).
        """
        with torch.no_grad():
            terms = self._terms(patches, self.gan.features(patches), self.invert(patches))
        return {**terms, "score": (1 - self.weight) * terms["residual"] + self.weight * terms["discrimination"]}

    def _terms(self, patches: Tensor, features: Tensor, latent: Tensor) -> dict[str, Tensor]:
        generated = self.gan.generate(latent)
        return {
            "residual": (patches - generated).abs().flatten(1).sum(dim=1),
            "discrimination": (features - self.gan.features(generated)).abs().sum(dim=1),
        }

    def train(self, mode: bool = True) -> AnoGan:
        """The GAN is trained elsewhere; here it stays in evaluation mode."""
        return super().train(mode=False)


class PatchWise(Protocol):
    """Maps an image `(B, 1, *spatial)` patch by patch to `(B, channels, *spatial)`."""

    def __call__(self, image: Tensor, call: Callable[[Tensor], Tensor], *, channels: int = 1) -> Tensor:
        """`call` maps patches `(N, 1, *patch)` to `(N, channels, *patch)`."""


def patchwise(gan: LatentGan, *, overlap: float, batch: int) -> PatchWise:
    """A function that maps an image patch by patch, the patches of its body only; air stays 0.

    Args:
        gan: whose patch size it is.
        overlap: of neighbouring patches; see `AnoGan`.
        batch: patches at once.
    """
    window = SlidingWindowInferer(
        (gan.patch,) * gan.spatial_dims, sw_batch_size=batch, overlap=overlap, mode="gaussian"
    )

    def run(image: Tensor, call: Callable[[Tensor], Tensor], *, channels: int = 1) -> Tensor:
        def some(patches: Tensor) -> Tensor:
            body = foreground(patches).flatten(1).any(dim=1)
            answer = patches.new_zeros(len(patches), channels, *patches.shape[2:])
            if body.any():
                answer[body] = call(patches[body]).detach()
            return answer

        answer: Tensor = window(image, some)
        return answer

    return run
