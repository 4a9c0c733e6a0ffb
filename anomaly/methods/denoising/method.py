"""The denoising autoencoder with coarse noise, on MONAI's `BasicUNet`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from monai.networks.nets import BasicUNet
from torch import Tensor

from anomaly.method import SinglePass
from anomaly.networks.shapes import UNET_MULTIPLE, crop_as, pad_to_multiple
from anomaly.scoring.score import foreground


def coarse_noise(image: Tensor, *, grid: int = 16, std: float = 0.2) -> Tensor:
    """Gaussian noise on a coarse grid, linearly interpolated and shifted at random, in the body only.

    Args:
        image: `(B, 1, *spatial)`; the noise is 0 where its background is.
        grid: points along each axis of an image of 128; shorter and longer axes have their share.
        std: standard deviation at the points.

    Returns:
        `(B, 1, *spatial)`.
    """
    spatial = image.shape[2:]
    points = [max(2, round(size * grid / 128)) for size in spatial]
    mode = {4: "bilinear", 5: "trilinear"}[image.dim()]
    drawn = torch.randn(image.shape[0], 1, *points, device=image.device) * std
    noise = F.interpolate(drawn, size=spatial, mode=mode, align_corners=True)
    shifts = [int(torch.randint(size, ())) for size in spatial]
    return torch.roll(noise, shifts, dims=list(range(2, image.dim()))) * foreground_of(image)


def foreground_of(image: Tensor) -> Tensor:
    """1 where the body is, `(B, 1, *spatial)`."""
    return foreground(image).to(image.dtype)


class DenoisingAutoencoder(SinglePass):
    """A U-Net that takes coarse noise away [Kascenas, Pugeault & O'Neil 2022, MIDL, PMLR 172].

    Coarse, because the noise then has the size of lesions: fine noise is removed by smoothing, and a lesion is not.
    Skip connections are no harm, as the noise has to be removed from them as well. The score is `|x - G(x)|`.

    Args:
        spatial_dims: 2 or 3.
        features: of MONAI's `BasicUNet`: five levels, then the last decoder.
        grid: of the noise; see `coarse_noise`.
        std: of the noise.
    """

    def __init__(
        self,
        *,
        spatial_dims: int = 2,
        features: Sequence[int] = (32, 32, 64, 128, 256, 32),
        grid: int = 16,
        std: float = 0.2,
    ) -> None:
        super().__init__()
        self.grid, self.std = grid, std
        self.network = BasicUNet(spatial_dims=spatial_dims, in_channels=1, out_channels=1, features=features)

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """`twin` G(x) and `score` `|x - G(x)|`, each `(B, 1, *spatial)` in [0, 1]."""
        twin = self.denoise(image).clamp(0, 1)
        return {"twin": twin, "score": (image - twin).abs()}

    def denoise(self, image: Tensor) -> Tensor:
        """The network's answer, `(B, 1, *spatial)`, not cut to [0, 1]."""
        answer: Tensor = self.network(pad_to_multiple(image, [UNET_MULTIPLE] * (image.dim() - 2)))
        return crop_as(answer, image)

    def losses(self, image: Tensor) -> dict[str, Tensor]:
        """The mean squared error of the denoised image to the image before the noise."""
        noisy = image + coarse_noise(image, grid=self.grid, std=self.std)
        return {"denoising": F.mse_loss(self.denoise(noisy), image)}
