"""How far two images are from each other for an encoder that no longer learns."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class FeatureDistance(nn.Module):
    """One minus the cosine of the frozen encoder's features of two images, at every voxel.

    The features are those of the stem and of the first two stages (in-plane strides 2, 4 and 8). They never
    train, batch norm included, so the distance means the same from the first step to the last.

    Args:
        encoder: a `medicalnet_encoder`; copied.
    """

    levels = 3

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        stem = [copy.deepcopy(encoder.get_submodule(name)) for name in ("conv1", "bn1", "act")]
        self.conv1, self.bn1, self.act = stem
        self.maxpool = copy.deepcopy(encoder.get_submodule("maxpool"))
        self.layer1 = copy.deepcopy(encoder.get_submodule("layer1"))
        self.layer2 = copy.deepcopy(encoder.get_submodule("layer2"))
        self.requires_grad_(requires_grad=False)
        self.eval()

    def train(self, mode: bool = True) -> FeatureDistance:
        """Stays as it is."""
        return super().train(mode=False)

    def copy_from(self, encoder: nn.Module) -> None:
        """Take the weights of `encoder` as they are now."""
        state = encoder.state_dict()
        self.load_state_dict({name: state[name] for name in self.state_dict()})

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Distances `(B, 3, *spatial)` in [0, 2] of two images `(B, 1, *spatial)`, without a gradient."""
        mode = "trilinear" if one.dim() == 5 else "bilinear"
        maps: list[Tensor] = []
        with torch.no_grad():
            features, others = self._features(one), self._features(other)
            for level in range(len(features)):
                distance = 1 - F.cosine_similarity(features[level], others[level], dim=1, eps=1e-6).unsqueeze(1)
                maps.append(F.interpolate(distance, size=one.shape[2:], mode=mode, align_corners=False))
        return torch.cat(maps, dim=1)

    def _features(self, image: Tensor) -> list[Tensor]:
        stem = self.act(self.bn1(self.conv1(image)))
        first = self.layer1(self.maxpool(stem))
        return [stem, first, self.layer2(first)]
