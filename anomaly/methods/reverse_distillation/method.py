"""Reverse distillation: from a small embedding a student rebuilds the features of a frozen teacher."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from monai.networks.blocks import Convolution
from torch import Tensor, nn

from anomaly.method import SinglePass
from anomaly.networks.medicalnet import encoder_stride
from anomaly.networks.shapes import crop_as, pad_to_multiple

_LEVELS = (1, 2, 3)  # of the teacher's maps: after its first three stages, as in the paper


def cosine_distance(one: Tensor, other: Tensor) -> Tensor:
    """One minus the cosine of two feature maps `(B, C, *places)` at every place, `(B, 1, *places)` in [0, 2]."""
    return 1 - F.cosine_similarity(one, other, dim=1, eps=1e-6).unsqueeze(1)


class ReverseDistillation(SinglePass):
    r"""Reverse distillation [Deng & Li 2022, CVPR, arXiv 2201.10703].

    The teacher's features of three stages are joined and squeezed into one embedding at its deepest resolution
    (the one-class bottleneck), from which the student rebuilds them, the deepest first. It learns
    $\sum_k mean(1 - \cos(f_k, \hat f_k))$ (eq. 2) on healthy images; the score is the mean over the stages of
    $(1 - \cos) / 2$, interpolated to the image.

    Args:
        teacher: a `medicalnet_encoder`; it is not trained.
        widths: channels of the teacher's first three stages.
        spatial_dims: of the teacher.
        slice_stride: of the teacher.
        embedding: channels of the bottleneck.
        input_mean: subtracted from the image before the teacher; see `TwinGenerator`.
        input_std: divides the image before the teacher.
    """

    def __init__(
        self,
        teacher: nn.Module,
        *,
        widths: Sequence[int] = (64, 128, 256),
        spatial_dims: int = 2,
        slice_stride: int = 1,
        embedding: int = 128,
        input_mean: float = 0.25,
        input_std: float = 0.2,
    ) -> None:
        super().__init__()
        self.stride = encoder_stride(spatial_dims=spatial_dims, slice_stride=slice_stride)
        self.teacher = teacher.eval().requires_grad_(False)
        self.input_mean, self.input_std = input_mean, input_std
        self.mode = "trilinear" if spatial_dims == 3 else "bilinear"
        self.pool = nn.AdaptiveAvgPool3d if spatial_dims == 3 else nn.AdaptiveAvgPool2d
        self.bottleneck = nn.Sequential(
            Convolution(spatial_dims, sum(widths), embedding, kernel_size=1, norm="batch", act="relu"),
            Convolution(spatial_dims, embedding, embedding, kernel_size=3, norm="batch", act="relu"),
        )
        inputs = [embedding, *reversed(widths[1:])]
        self.student = nn.ModuleList(
            nn.Sequential(
                Convolution(spatial_dims, above, width, kernel_size=3, norm="batch", act="relu"),
                Convolution(spatial_dims, width, width, kernel_size=3, conv_only=True),
            )
            for above, width in zip(inputs, reversed(widths), strict=True)
        )

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """`score`, and the distances of the three stages as `stage_1` to `stage_3`, each `(B, 1, *spatial)`."""
        padded = pad_to_multiple(image, self.stride)
        distances = [
            crop_as(F.interpolate(distance, size=padded.shape[2:], mode=self.mode, align_corners=False), image)
            for distance in self.distances(image)
        ]
        score = torch.stack(distances).mean(dim=0) / 2
        return {"score": score.clamp(0, 1), **{f"stage_{k}": one for k, one in enumerate(distances, start=1)}}

    def distances(self, image: Tensor) -> list[Tensor]:
        """Teacher against student, `(B, 1, *places)` of each stage, the finest first."""
        with torch.no_grad():
            maps = self.teacher((pad_to_multiple(image, self.stride) - self.input_mean) / self.input_std)
        wanted = [maps[level] for level in _LEVELS]
        squeeze = self.pool(tuple(maps[-1].shape[2:]))
        rebuilt = self.bottleneck(torch.cat([squeeze(one) for one in wanted], dim=1))
        distances: list[Tensor] = []
        for stage, target in zip(self.student, reversed(wanted), strict=True):
            rebuilt = stage(F.interpolate(rebuilt, size=target.shape[2:], mode="nearest"))
            distances.insert(0, cosine_distance(target, rebuilt))
        return distances

    def losses(self, image: Tensor) -> dict[str, Tensor]:
        """The mean distance of each stage on healthy images `(B, 1, *spatial)`."""
        return {f"stage_{k}": one.mean() for k, one in enumerate(self.distances(image), start=1)}

    def train(self, mode: bool = True) -> ReverseDistillation:
        """The student follows; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self
