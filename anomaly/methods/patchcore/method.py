"""PatchCore: features that are far from all healthy ones are abnormal."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from anomaly.method import SinglePass
from anomaly.methods.patchcore.coreset import coreset
from anomaly.networks.medicalnet import encoder_stride
from anomaly.networks.shapes import crop_as, pad_to_multiple

_LEVELS = (2, 3)  # of the encoder's maps: after its second and third stage, as in the paper
_CHUNK = 4096  # features compared with the bank at once


class PatchCore(SinglePass):
    """PatchCore [Roth 2022, CVPR, arXiv 2106.08265] on the features of a frozen encoder.

    `fill` keeps a coreset of healthy features in a bank; the score of a place is its distance d to the nearest of
    them, as `d / (d + s)`, where s is the largest distance of the healthy features to the bank: 0.5 is as far as any
    of them. Features of two stages are averaged over 3 voxels along each axis and joined (eq. 2 and 3).

    Args:
        encoder: a `medicalnet_encoder`, 2-D or 3-D; it is not trained.
        spatial_dims: of the encoder.
        slice_stride: of the encoder.
        input_mean: subtracted from the image before the encoder; see `TwinGenerator`.
        input_std: divides the image before the encoder.
        size: features in the bank.
        channels: length of a feature; those of two stages have more and are pooled to it.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        spatial_dims: int = 3,
        slice_stride: int = 1,
        input_mean: float = 0.25,
        input_std: float = 0.2,
        size: int = 2000,
        channels: int = 256,
    ) -> None:
        super().__init__()
        self.stride = encoder_stride(spatial_dims=spatial_dims, slice_stride=slice_stride)
        self.encoder = encoder.eval().requires_grad_(False)
        self.spatial_dims, self.size, self.channels = spatial_dims, size, channels
        self.input_mean, self.input_std = input_mean, input_std
        self.bank: Tensor
        self.scale: Tensor
        self.register_buffer("bank", torch.zeros(size, channels))
        self.register_buffer("scale", torch.ones(()))

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """`score`, and `distance` to the bank, interpolated to the image, each `(B, 1, *spatial)`."""
        return self.judge(self.features(image), image)

    def judge(self, maps: Tensor, image: Tensor) -> dict[str, Tensor]:
        """What `explain` says of an image whose `features` are known."""
        nearest = self.distances(self.flat(maps)).reshape(maps.shape[0], 1, *maps.shape[2:])
        padded = pad_to_multiple(image, self.stride)
        mode = "trilinear" if self.spatial_dims == 3 else "bilinear"
        distance = crop_as(F.interpolate(nearest, size=padded.shape[2:], mode=mode, align_corners=False), image)
        return {"score": distance / (distance + self.scale), "distance": distance}

    @torch.no_grad()
    def features(self, image: Tensor) -> Tensor:
        """`(B, channels, *places)` of `image`, `(B, 1, *spatial)`, at the encoder's second stage."""
        padded = (pad_to_multiple(image, self.stride) - self.input_mean) / self.input_std
        levels = [self.encoder(padded)[level] for level in _LEVELS]
        pool = F.avg_pool3d if self.spatial_dims == 3 else F.avg_pool2d
        mode = "trilinear" if self.spatial_dims == 3 else "bilinear"
        size = levels[0].shape[2:]
        edge = [1] * (2 * self.spatial_dims)
        smooth = [pool(F.pad(level, edge, mode="replicate"), 3, stride=1) for level in levels]
        joined = torch.cat([F.interpolate(level, size=size, mode=mode, align_corners=False) for level in smooth], dim=1)
        by_place = joined.movedim(1, -1)
        pooled = F.adaptive_avg_pool1d(by_place.reshape(-1, 1, by_place.shape[-1]), self.channels)
        return pooled.reshape(*by_place.shape[:-1], self.channels).movedim(-1, 1)

    def fill(self, images: Iterable[Tensor], *, most: int = 1000, seed: int = 0) -> None:
        """Fill the bank with the features of healthy images, air included.

        Args:
            images: each `(B, 1, *spatial)` in [0, 1].
            most: features of each image, drawn at random, of which the coreset is chosen.
            seed: of the draw and of the coreset.

        Raises:
            ValueError: there is no image.
        """
        draws = torch.Generator().manual_seed(seed)
        parts = []
        for image in images:
            found = self.flat(self.features(image))
            parts.append(found[torch.randperm(len(found), generator=draws)[:most].to(found.device)])
        if not parts:
            msg = "there is no healthy image to fill the bank with"
            raise ValueError(msg)
        self.keep(torch.cat(parts), seed=seed)

    def keep(self, healthy: Tensor, *, seed: int = 0) -> None:
        """Fill the bank with a coreset of healthy features, `(n, channels)`."""
        chosen = healthy[coreset(healthy, size=self.size, seed=seed).to(healthy.device)]
        self.bank.copy_(chosen.repeat(-(-self.size // len(chosen)), 1)[: self.size])
        self.scale.copy_(self.distances(healthy).max().clamp(min=1e-6))

    def flat(self, maps: Tensor) -> Tensor:
        """`(B, channels, *places)` as `(n, channels)`."""
        return maps.movedim(1, -1).reshape(-1, self.channels)

    def distances(self, features: Tensor) -> Tensor:
        """The distance of each of `(n, channels)` to the nearest in the bank, `(n,)`."""
        return torch.cat([torch.cdist(part, self.bank).min(dim=1).values for part in torch.split(features, _CHUNK)])

    def train(self, mode: bool = True) -> PatchCore:
        """Nothing is trained here."""
        return super().train(mode=False)
