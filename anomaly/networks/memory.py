"""A memory of normal features: what is read from it is a mixture of few of its items."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class Memory(nn.Module):
    r"""The memory of MemAE [Gong 2019, ICCV, arXiv 1904.02639].

    A query q is answered by $\sum_i \hat w_i m_i$. The weights are the softmax of the cosines of q and the items (eq. 4
    and 5), those below $\lambda$ are set to 0 (eq. 7), and the rest sums to 1 again.

    Args:
        items: how many there are.
        channels: length of each.
        shrink: lambda; the paper takes 1 to 3 times `1 / items`. None: `1 / items`.
    """

    def __init__(self, *, items: int = 512, channels: int = 64, shrink: float | None = None) -> None:
        super().__init__()
        self.items = nn.Parameter(torch.randn(items, channels))
        self.shrink = 1 / items if shrink is None else shrink
        self.tiny = 1e-12

    def address(self, queries: Tensor) -> Tensor:
        """The weights `(n, items)` of queries `(n, channels)`; each row sums to 1."""
        cosines = F.normalize(queries, dim=1) @ F.normalize(self.items, dim=1).T
        weights = torch.softmax(cosines, dim=1)
        above = weights - self.shrink
        weights = F.relu(above) * weights / (above.abs() + self.tiny)
        return F.normalize(weights, p=1.0, dim=1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Read the memory at every place.

        Args:
            features: `(B, channels, *spatial)`.

        Returns:
            What is read, `(B, channels, *spatial)`, and the mean entropy of the weights (eq. 9), which is to be small.
        """
        queries = features.movedim(1, -1)
        weights = self.address(queries.reshape(-1, queries.shape[-1]))
        entropy = -(weights * (weights + self.tiny).log()).sum(dim=1).mean()
        return (weights @ self.items).reshape(queries.shape).movedim(-1, 1), entropy
