"""Semantic inpainting: the healthy patch that fits what is known, for a given mask or for one searched with it."""

from __future__ import annotations

import torch
from torch import Tensor

from anomaly.method import SinglePass
from anomaly.methods.anogan.loss import AdversarialGame
from anomaly.methods.anogan.method import patchwise
from anomaly.methods.inpainting.blend import poisson_blend
from anomaly.methods.inpainting.weights import context_loss, context_weights
from anomaly.methods.latent_search import best_restart, search
from anomaly.networks.latent_gan import LatentGan

_SLOPE = 8.0  # M = sigmoid(8 v): v moves as fast as z, and M is free to go from 0 to 1 within a search


class SemanticInpainting(SinglePass):
    r"""Semantic inpainting [Yeh 2017, CVPR, arXiv 1607.07539] on the patches of an image of any size.

    With the abnormal part *given*, `inpaint` searches z by $L_c(z) + \lambda L_p(z)$ (eq. 1): the weighted context
    loss of what is known, and the prior loss that G(z) look real. Poisson blending then fills the hole.

    Without it, `forward` searches M together with z, as robust GAN inversion does [Mou 2023, ICLR, arXiv 2302.12464]:
    $\sum (1 - M) |y - G(z)| + \mu \sum M + \lambda L_p(z)$. M is what does not fit any healthy patch; left out of
    the first term, it costs $\mu$ a voxel, so it ends at 1 where `|y - G(z)|` is above mu and at 0 elsewhere. This is
    HealthyTwin's M with a search in place of a network.

    Args:
        gan: trained on healthy patches; its size is the patch's.
        game: that the GAN was trained by, for the prior loss.
        iterations: steps of the search; the paper's is 1500.
        rate: learning rate of the search.
        prior: lambda; the paper's is 0.003.
        area: mu.
        window: of the context weights; the paper's is 7.
        released: weights of the authors' released code; see `context_weights`.
        restarts: searches for each patch; the one with the least loss counts.
        overlap: of neighbouring patches.
        batch: patches searched at once.
    """

    def __init__(
        self,
        gan: LatentGan,
        *,
        game: AdversarialGame | None = None,
        iterations: int = 1500,
        rate: float = 0.02,
        prior: float = 0.003,
        area: float = 0.1,
        window: int = 7,
        released: bool = False,
        restarts: int = 1,
        overlap: float = 0.25,
        batch: int = 64,
    ) -> None:
        super().__init__()
        self.gan = gan.eval()
        self.game = game or AdversarialGame()
        self.iterations, self.rate, self.restarts = iterations, rate, restarts
        self.prior, self.area = prior, area
        self.window, self.released = window, released
        self.tiles = patchwise(gan, overlap=overlap, batch=batch)

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """`score` M, `twin` G(z) and `composite` `(1 - M) y + M G(z)`, each `(B, 1, *spatial)` in [0, 1]."""
        both = self.tiles(image, lambda patches: torch.cat(self.search_mask(patches), dim=1), channels=2)
        mask, twin = both[:, :1], both[:, 1:]
        return {"score": mask, "twin": twin, "composite": (1 - mask) * image + mask * twin}

    def search_mask(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """M and G(z) of patches `(N, 1, *patch)`, both of their shape, searched together."""
        repeated = self._repeat(patches)

        def losses(latent: Tensor, logit: Tensor) -> Tensor:
            generated, mask = self.gan.generate(latent), torch.sigmoid(_SLOPE * logit)
            terms = (1 - mask) * (repeated - generated).abs() + self.area * mask
            return terms.flatten(1).sum(dim=1) + self.prior * self.game.prior(self.gan.judge, generated)

        start = [self._start(len(repeated)), torch.zeros_like(repeated)]
        (latent, logit), final = search(start, losses, iterations=self.iterations, rate=self.rate)
        best = [best_restart(found, final, self.restarts) for found in (latent, logit)]
        with torch.no_grad():
            return torch.sigmoid(_SLOPE * best[1]), self.gan.generate(best[0])

    def inpaint(self, patches: Tensor, known: Tensor) -> dict[str, Tensor]:
        """Fill in what is not known of patches.

        Args:
            patches: y, `(N, 1, *patch)` in [0, 1].
            known: the paper's M, of the same shape, 1 where y is known.

        Returns:
            `generated` G(z) and `blended`, y with the hole filled, both of the same shape.
        """
        repeated, masks = self._repeat(patches), self._repeat(known)
        with torch.inference_mode(False):
            weights = context_weights(masks, window=self.window, released=self.released)

        def losses(latent: Tensor) -> Tensor:
            generated = self.gan.generate(latent)
            return context_loss(generated, repeated, weights) + self.prior * self.game.prior(self.gan.judge, generated)

        (found,), final = search([self._start(len(repeated))], losses, iterations=self.iterations, rate=self.rate)
        with torch.no_grad():
            generated = self.gan.generate(best_restart(found, final, self.restarts))
        return {"generated": generated, "blended": poisson_blend(patches, generated, 1 - known)}

    def train(self, mode: bool = True) -> SemanticInpainting:
        """The GAN is trained elsewhere; here it stays in evaluation mode."""
        return super().train(mode=False)

    def _repeat(self, patches: Tensor) -> Tensor:
        with torch.inference_mode(False):  # what is made here may be differentiated through
            return patches.repeat(self.restarts, *(1,) * (patches.dim() - 1))

    def _start(self, count: int) -> Tensor:
        """The same z at every call."""
        return self.gan.draw(count, torch.Generator().manual_seed(0))
