"""A generator of healthy patches from latent vectors, with its critic, on MONAI's `Generator` and `Regressor`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import Generator, Regressor
from torch import Tensor, nn

_LEAKY = ("leakyrelu", {"negative_slope": 0.2})
_LAYER_NORM = ("group", {"num_groups": 1})  # batch norm would make the gradient penalty of one patch depend on others


class LatentGan(nn.Module):
    """A GAN whose latent space can be searched: `generate` z to patch, `features` and `judge` of a patch.

    Convolutional, each level doubling the size, as DCGAN [Radford 2016, arXiv 1511.06434] and the networks of
    f-AnoGAN [Schlegl 2019, Medical Image Analysis 54]; batch norm in the generator, layer norm in the critic.

    Args:
        spatial_dims: 2 or 3.
        patch: size of a patch along each axis; a multiple of `2 ** len(channels)`.
        latent: length of z, which is drawn from N(0, 1).
        channels: of the generator, from the smallest map to the largest; the critic has them in reverse.
        residual_units: convolutions in a residual unit behind each doubling; 0: none, as DCGAN.

    Raises:
        ValueError: `patch` cannot be halved so often.
    """

    def __init__(
        self,
        *,
        spatial_dims: int = 2,
        patch: int = 64,
        latent: int = 128,
        channels: Sequence[int] = (256, 128, 64, 32),
        residual_units: int = 0,
    ) -> None:
        super().__init__()
        levels = len(channels)
        if patch % 2**levels:
            msg = f"a patch of {patch} cannot be halved {levels} times"
            raise ValueError(msg)
        self.spatial_dims, self.patch, self.latent = spatial_dims, patch, latent
        self.generator = Generator(
            latent_shape=(latent,),
            start_shape=(channels[0], *(patch // 2**levels,) * spatial_dims),
            channels=(*channels[1:], channels[-1], 1),
            strides=(*(2,) * levels, 1),
            num_res_units=residual_units,
            act="relu",
            norm="batch",
        )
        self.critic = self.regressor(outputs=1, channels=channels)

    def regressor(self, *, outputs: int, channels: Sequence[int]) -> Regressor:
        """A network from a patch to `outputs` numbers, built as the critic is."""
        return Regressor(
            in_shape=(1, *(self.patch,) * self.spatial_dims),
            out_shape=(outputs,),
            channels=tuple(reversed(channels)),
            strides=(2,) * len(channels),
            num_res_units=0,
            act=_LEAKY,
            norm=_LAYER_NORM,
        )

    def generate(self, latent: Tensor) -> Tensor:
        """Patches `(N, 1, *patch)` in [0, 1] of latent vectors `(N, latent)`."""
        return torch.sigmoid(self.generator(latent))

    def features(self, patches: Tensor) -> Tensor:
        """f: the critic's last convolution, flattened, `(N, features)`, of `(N, 1, *patch)`."""
        maps: Tensor = self.critic.net(patches)
        return maps.flatten(1)

    def judge(self, patches: Tensor) -> Tensor:
        """The critic's answer `(N, 1)`, a logit or a Wasserstein score: high where a patch looks real."""
        answer: Tensor = self.critic(patches)
        return answer

    def forward(self, latent: Tensor) -> Tensor:
        """As `generate`."""
        return self.generate(latent)

    def draw(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """`count` latent vectors from N(0, 1), `(count, latent)`, where the weights are; the same for one generator."""
        drawn = torch.randn(count, self.latent, generator=generator)
        return drawn.to(next(self.generator.parameters()).device)
