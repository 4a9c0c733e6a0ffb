"""The autoencoder baseline, on MONAI's `AutoEncoder`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from monai.networks.nets import AutoEncoder
from torch import Tensor

from anomaly.method import SinglePass
from anomaly.networks.shapes import crop_as, pad_to_multiple


class Autoencoder(SinglePass):
    """A convolutional autoencoder with a spatial bottleneck [Baur 2021, Medical Image Analysis 69, "AE (spatial)"].

    The score is `|x - G(x)|`. No layer passes the bottleneck by, so that an anomaly has no way around it.

    Args:
        spatial_dims: 2 or 3.
        channels: of each layer of the encoder; every one halves the image.
        latent: channels of the bottleneck, which keeps the size of the last layer.
    """

    def __init__(
        self, *, spatial_dims: int = 2, channels: Sequence[int] = (32, 64, 128, 128), latent: int = 16
    ) -> None:
        super().__init__()
        self.stride = [2 ** len(channels)] * spatial_dims
        self.network = AutoEncoder(
            spatial_dims=spatial_dims,
            in_channels=1,
            out_channels=1,
            channels=(*channels, latent),
            strides=(*(2 for _ in channels), 1),
            norm="BATCH",
        )

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """`twin` G(x) and `score` `|x - G(x)|`, each `(B, 1, *spatial)` in [0, 1]."""
        twin = self.reconstruct(image)
        return {"twin": twin, "score": (image - twin).abs()}

    def reconstruct(self, image: Tensor) -> Tensor:
        """G(x), of the same shape as `image`."""
        return crop_as(torch.sigmoid(self.network(pad_to_multiple(image, self.stride))), image)

    def losses(self, image: Tensor) -> dict[str, Tensor]:
        """The mean squared error of the reconstruction."""
        return {"reconstruction": F.mse_loss(self.reconstruct(image), image)}
