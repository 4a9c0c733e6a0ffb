"""The generator: one encoder, one decoder, and two heads for the healthy twin and for the mask M."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from monai.networks.blocks import Convolution
from torch import Tensor, nn

from anomaly.networks.feature_distance import FeatureDistance
from anomaly.networks.medicalnet import medicalnet_encoder

_STEM_CHANNELS = 16
_RARE = -3.0  # initial logit of M: about 5 % abnormal, so that training does not begin by unlearning one half


class TwinGenerator(nn.Module):
    """Map an image to the residual R of its healthy twin and to the logit of the mask M.

    The twin is `G(y) = clip(y + R(y), 0, 1)`: the image itself carries the high frequencies of the healthy
    part, and R has only to undo the abnormal part. M is not computed from R by subtraction; it has a head of
    its own on the same features. With `evidence`, that head also hears how far the twin is from the image: |R| and
    the `FeatureDistance` in the encoder as it was before training, through two convolutions that begin at zero.

    Args:
        spatial_dims: 2 or 3.
        depth: layers of the ResNet encoder (10, 18, 34, 50).
        decoder_channels: channels at in-plane strides 16, 8, 4, 2 and 1.
        slice_stride: see `medicalnet_encoder`.
        input_mean: subtracted from the image before the encoder.
        input_std: divides the image before the encoder. MedicalNet was trained on z-scored volumes; constants
            rather than the mean of the crop keep the answer the same in every window.
        evidence: let the mask head hear the distance between image and twin.
        dilated: see `medicalnet_encoder`.
        channels: of the image and its twin, such as the sequences of one visit; M always has one.

    Attributes:
        slab: how many slices the widest layers, which look at each slice alone, compute at once; 0: all. Fewer take
            less memory and give the same answer, for volumes whose slices have no stride.
    """

    def __init__(
        self,
        *,
        spatial_dims: int = 3,
        depth: int = 10,
        decoder_channels: Sequence[int] = (96, 64, 48, 32, 16),
        slice_stride: int = 1,
        input_mean: float = 0.25,
        input_std: float = 0.2,
        evidence: bool = False,
        dilated: bool = False,
        channels: int = 1,
    ) -> None:
        super().__init__()
        if len(decoder_channels) != 5:
            msg = f"decoder_channels needs five numbers, got {tuple(decoder_channels)}"
            raise ValueError(msg)
        self.spatial_dims = spatial_dims
        self.halved = spatial_dims if slice_stride == 2 or spatial_dims == 2 else 2
        self.stride = 32  # of the encoder; an attribute, because TorchScript knows no module's constants
        self.input_mean, self.input_std = input_mean, input_std
        self.encoder = medicalnet_encoder(
            depth, spatial_dims=spatial_dims, slice_stride=slice_stride, dilated=dilated, channels=channels
        )
        expansion = 4 if depth >= 50 else 1
        skips = [256 * expansion, 128 * expansion, 64 * expansion, 64, _STEM_CHANNELS]
        inputs = [512 * expansion, *decoder_channels[:-1]]
        flat = [False, False, True, True, True]  # in-plane kernels where the maps are largest
        self.slab = 0
        self.first_flat = flat.index(True) if slice_stride == 1 and spatial_dims == 3 else len(flat)
        self.stem = _conv(spatial_dims, channels, _STEM_CHANNELS, in_plane=True)
        self.blocks = nn.ModuleList(
            _conv(spatial_dims, above + skip, out, in_plane=thin)
            for above, skip, out, thin in zip(inputs, skips, decoder_channels, flat, strict=True)
        )
        head = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
        self.twin_head = head(decoder_channels[-1], channels, kernel_size=1)
        nn.init.normal_(self.twin_head.weight, std=0.01)  # the twin begins as the image itself
        nn.init.zeros_(self.twin_head.bias)  # type: ignore[arg-type]
        self.mask_head = head(decoder_channels[-1], 1, kernel_size=1)
        nn.init.constant_(self.mask_head.bias, _RARE)  # type: ignore[arg-type]
        self.distance = FeatureDistance(self.encoder) if evidence else None
        self.evidence = _evidence_head(spatial_dims) if evidence else None

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Run both heads.

        Args:
            image: `(B, C, *spatial)` in [0, 1]; any size, padded inside to what the encoder needs. A network of two
                dimensions also takes `(B, 1, i, j, 1)`, volumes of one slice.

        Returns:
            Residual R, of the image's shape, and mask logit, `(B, 1, *spatial)`.
        """
        residual, logit, _ = self.decode(image)
        return residual, logit

    def decode(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `forward` answers, and the decoder's last features, `(B, C, *spatial)`, for other heads."""
        if self.spatial_dims == 2 and image.dim() == 5:
            residual, logit, x = self._decode(image.squeeze(-1))
            return residual.unsqueeze(-1), logit.unsqueeze(-1), x.unsqueeze(-1)
        return self._decode(image)

    def _decode(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        padded = self._pad(image)
        x = self._normalise(padded)
        features = [self.stem(x)]
        features.extend(self.encoder(x))
        x = features.pop()
        for level, block in enumerate(self.blocks):
            skip = features.pop()
            slab = self.slab if level >= self.first_flat else 0
            parts: list[Tensor] = []
            above, beside = _slabs(x, slab), _slabs(skip, slab)
            for part in range(len(beside)):  # TorchScript knows no `zip` that is strict
                here = beside[part]
                wider = F.interpolate(above[part], size=here.shape[2:], mode="nearest")
                parts.append(block(torch.cat([wider, here], dim=1)))
            x = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        residual, logit = self.twin_head(x), self.mask_head(x)
        if self.distance is not None and self.evidence is not None:
            logit = logit + self.evidence(self._evidence(padded, residual))
        for axis in range(2, image.dim()):
            residual = residual.narrow(axis, 0, image.shape[axis])
            logit = logit.narrow(axis, 0, image.shape[axis])
            x = x.narrow(axis, 0, image.shape[axis])
        return residual, logit, x

    def _normalise(self, image: Tensor) -> Tensor:
        return (image - self.input_mean) / self.input_std

    def _evidence(self, image: Tensor, residual: Tensor) -> Tensor:
        """|R| and the feature distances between image and twin, `(B, 4, *spatial)`, without a gradient.

        Without one, because the twin must not learn to look near where M would rather not be.
        """
        assert self.distance is not None
        twin = torch.clamp(image + residual.detach(), 0, 1)
        distances = self.distance(self._normalise(image), self._normalise(twin))
        return torch.cat([(twin - image).abs().mean(dim=1, keepdim=True) / self.input_std, distances], dim=1)

    def _pad(self, image: Tensor) -> Tensor:
        """Zeros (air) after the end of each strided axis, up to a multiple of the encoder's stride."""
        widths: list[int] = []
        for axis in range(image.dim() - 1, 1, -1):
            strided = axis - 2 < self.halved
            widths.extend([0, -image.shape[axis] % self.stride if strided else 0])
        return F.pad(image, widths)


def _conv(spatial_dims: int, inputs: int, outputs: int, *, in_plane: bool) -> nn.Module:
    """Convolution, batch norm, ReLU: `(B, inputs, *spatial)` to `(B, outputs, *spatial)`.

    Batch norm, because its statistics at inference do not depend on the window: a whole volume gives what its
    slabs give.
    """
    kernel = (3, 3, 1) if in_plane and spatial_dims == 3 else (3,) * spatial_dims
    return Convolution(spatial_dims, inputs, outputs, kernel_size=kernel, norm="batch", act="relu", bias=False)


def _slabs(features: Tensor, slices: int) -> list[Tensor]:
    """Parts of so many slices; 0: all in one."""
    return list(torch.split(features, slices, dim=-1)) if slices > 0 else [features]


def _evidence_head(spatial_dims: int) -> nn.Module:
    """From `(B, 4, *spatial)` to what is added to the logit of M; nothing at first."""
    kernel = (3, 3, 1) if spatial_dims == 3 else (3, 3)
    inputs = FeatureDistance.levels + 1
    first = Convolution(spatial_dims, inputs, 8, kernel_size=kernel, norm=None, act="relu")
    last = (nn.Conv2d if spatial_dims == 2 else nn.Conv3d)(8, 1, kernel_size=1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(first, last)
