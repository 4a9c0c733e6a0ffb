"""How much each known voxel counts when the rest is to be filled in."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def context_weights(known: Tensor, *, window: int = 7, released: bool = False) -> Tensor:
    r"""Weights W of the context loss [Yeh 2017, eq. 3].

    $W_i = \sum_{j \in N(i)} (1 - M_j) / |N(i)|$ where voxel i is known, else 0: known voxels near the hole count
    more, those with none of it in their window not at all. The authors' released code has the opposite,
    $M_i \sum_{j \in N(i)} M_j / |N(i)|$, by which voxels far from the hole count more.

    Args:
        known: M of the paper, `(B, 1, *spatial)` in [0, 1], 1 where the image is known. Voxels beyond the edge count
            as known.
        window: size of N along each axis; odd.
        released: the weights of the released code.

    Raises:
        ValueError: `window` is even.
    """
    if window % 2 == 0:
        msg = f"the window must be odd, got {window}"
        raise ValueError(msg)
    pool = F.avg_pool3d if known.dim() == 5 else F.avg_pool2d
    hole = pool(1 - known, window, stride=1, padding=window // 2)
    return known * (1 - hole if released else hole)


def context_loss(generated: Tensor, image: Tensor, weights: Tensor) -> Tensor:
    """`|W * (G(z) - y)|_1` of each sample `(N, 1, *spatial)`, `(N,)` [Yeh 2017, eq. 4]."""
    return (weights * (generated - image)).abs().flatten(1).sum(dim=1)
