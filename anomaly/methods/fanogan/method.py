"""f-AnoGAN: the latent vector of a healthy patch in one pass of an encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from anomaly.method import SinglePass
from anomaly.methods.anogan.method import patchwise
from anomaly.networks.latent_gan import LatentGan


class FastAnoGan(SinglePass):
    r"""f-AnoGAN [Schlegl 2019, Medical Image Analysis 54] on the patches of an image of any size.

    The encoder E learns with the GAN frozen, by the loss izi_f:
    $MSE(x, G(E(x))) + \kappa\,MSE(f(x), f(G(E(x))))$. The score map is `|x - G(E(x))|`.

    Args:
        gan: trained on healthy patches, and not trained any more; `AnoGan` may share it.
        channels: of the encoder, as for `LatentGan`.
        kappa: weight of the features.
        overlap: of neighbouring patches; see `AnoGan`.
        batch: patches at once.
    """

    def __init__(
        self,
        gan: LatentGan,
        *,
        channels: Sequence[int] = (256, 128, 64, 32),
        kappa: float = 1.0,
        overlap: float = 0.25,
        batch: int = 64,
    ) -> None:
        super().__init__()
        self.gan = gan.eval().requires_grad_(False)
        self.encoder = gan.regressor(outputs=gan.latent, channels=channels)
        self.kappa = kappa
        self.tiles = patchwise(gan, overlap=overlap, batch=batch)

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """`twin` G(E(x)) and `score` `|x - G(E(x))|`, each `(B, 1, *spatial)` in [0, 1]."""
        twin = self.tiles(image, self.reconstruct)
        return {"twin": twin, "score": (image - twin).abs()}

    def encode(self, patches: Tensor) -> Tensor:
        """z in [-1, 1], `(N, latent)`, of `(N, 1, *patch)`; tanh, as in the authors' code."""
        return torch.tanh(self.encoder(patches))

    def reconstruct(self, patches: Tensor) -> Tensor:
        """G(E(x)), of the same shape as the patches `(N, 1, *patch)`."""
        return self.gan.generate(self.encode(patches))

    def losses(self, image: Tensor) -> dict[str, Tensor]:
        """The two terms of izi_f on patches `(N, 1, *patch)`."""
        rebuilt = self.reconstruct(image)
        features = F.mse_loss(self.gan.features(rebuilt), self.gan.features(image))
        return {"image": F.mse_loss(rebuilt, image), "features": self.kappa * features}

    def patch_scores(self, patches: Tensor) -> Tensor:
        """The paper's score A(x) of whole patches `(N, 1, *patch)`, `(N,)`: izi_f of each."""
        with torch.no_grad():
            rebuilt = self.reconstruct(patches)
            image = (rebuilt - patches).square().flatten(1).mean(dim=1)
            features = (self.gan.features(rebuilt) - self.gan.features(patches)).square().mean(dim=1)
        return image + self.kappa * features

    def train(self, mode: bool = True) -> FastAnoGan:
        """The encoder follows; the GAN stays in evaluation mode."""
        super().train(mode)
        self.gan.eval()
        return self
