"""What a method is: the three calls by which everything else in this project knows it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor, nn

SCORE, TWIN, COMPOSITE = "score", "twin", "composite"
"""What an examination may be given; only the score is required."""


@runtime_checkable
class Method(Protocol):
    """An `nn.Module` that maps an image to a score map, and can say what explains it.

    Every call takes `image`, `(B, C, *spatial)` in [0, 1], of any size, for `spatial_dims` 2 or 3, and gives tensors
    on the same grid.
    """

    def __call__(self, image: Tensor) -> Tensor:
        """The score map in [0, 1], `(B, 1, *spatial)`: what `monai.bundle verify_net_in_out` and exports need."""

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """All that one pass has to say, under names of the method's own; a trainer may differentiate through it."""

    def examine(self, image: Tensor) -> dict[str, Tensor]:
        """What an examination needs.

        Returns:
            `score`, equal to what the call gives, `(B, 1, *spatial)`. Where the method has them, `twin` G(y), the
            healthy image that it makes of `image`, and `composite`, `image` with only its abnormal part made healthy,
            each `(B, C, *spatial)` in [0, 1]. Reports draw the composite, or the twin where there is only that; a
            method without a twin gives neither.
        """


class SinglePass(nn.Module):
    """A method whose `explain` says all: it holds `score`, and `twin` and `composite` where the method has them."""

    def forward(self, image: Tensor) -> Tensor:
        """The score map in [0, 1], `(B, 1, *spatial)`, of `image`, `(B, 1, *spatial)` in [0, 1], of any size."""
        return self.explain(image)["score"]

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """See `Method`."""
        raise NotImplementedError

    def examine(self, image: Tensor) -> dict[str, Tensor]:
        """See `Method`."""
        explained = self.explain(image)
        return {name: explained[name] for name in (SCORE, TWIN, COMPOSITE) if name in explained}


class ScoreOnly(nn.Module):
    """A network that knows nothing but `forward`, as a `Method`.

    Args:
        network: maps `(B, C, *spatial)` to a score map `(B, 1, *spatial)`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """See `Method`."""
        scores: Tensor = self.network(image)
        return scores

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """See `Method`."""
        return {SCORE: self.network(image)}

    examine = explain


def as_method(network: nn.Module) -> Method:
    """The network, or what makes a `Method` of one that has only `forward`."""
    return network if isinstance(network, Method) else ScoreOnly(network)
