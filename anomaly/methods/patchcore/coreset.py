"""A coreset: few features that lie near to all others."""

from __future__ import annotations

import torch
from sklearn.random_projection import SparseRandomProjection, johnson_lindenstrauss_min_dim
from torch import Tensor

_DISTORTION = 0.9  # of distances by the projection, as in the paper's code


def coreset(features: Tensor, *, size: int, seed: int = 0) -> Tensor:
    """Choose features greedily, each the farthest from those chosen before [Roth 2022, algorithm 1; Sener 2018].

    Distances are taken after a random projection, where that makes the features shorter [Johnson & Lindenstrauss 1984].

    Args:
        features: `(n, channels)`.
        size: how many to choose; all, where there are no more.
        seed: of the projection; the first feature is the one nearest to their mean.

    Returns:
        Indices `(min(size, n),)`, in the order of their choice.

    Raises:
        ValueError: `size` is below 1.
    """
    if size < 1:
        msg = f"a coreset has at least one feature, got {size}"
        raise ValueError(msg)
    if size >= len(features):
        return torch.arange(len(features))
    points = _projected(features, seed)
    chosen = [int((points - points.mean(dim=0)).square().sum(dim=1).argmin())]
    nearest = (points - points[chosen[0]]).square().sum(dim=1)
    for _ in range(size - 1):
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(dim=1))
    return torch.tensor(chosen)


def _projected(features: Tensor, seed: int) -> Tensor:
    length = int(johnson_lindenstrauss_min_dim(len(features), eps=_DISTORTION))
    if length >= features.shape[1]:
        return features
    projection = SparseRandomProjection(n_components=length, random_state=seed)
    return torch.as_tensor(projection.fit_transform(features.cpu().numpy()), device=features.device)
