"""Image sizes that a network can halve, and slices of a volume for methods that work in 2-D."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def pad_to_multiple(image: Tensor, multiple: int | Sequence[int]) -> Tensor:
    """`(B, C, *spatial)` with zeros (air) behind the end of each axis, up to a multiple: one for all, or one each."""
    each = [multiple] * (image.dim() - 2) if isinstance(multiple, int) else list(multiple)
    widths: list[int] = []
    for size, wanted in zip(reversed(image.shape[2:]), reversed(each), strict=True):
        widths.extend([0, -size % wanted])
    return F.pad(image, widths)


def crop_as(image: Tensor, like: Tensor) -> Tensor:
    """The beginning of each axis of `image`, `(B, C, *spatial)`, as long as those of `like`."""
    return image[(slice(None), slice(None), *(slice(0, size) for size in like.shape[2:]))]


class SliceWise(nn.Module):
    """A method for 2-D images, on the slices of volumes.

    Args:
        method: maps `(B, 1, h, w)` to a score map of the same shape; may have `explain`.
        batch: slices in one call, which bounds the memory.
    """

    def __init__(self, method: nn.Module, *, batch: int = 16) -> None:
        super().__init__()
        self.method, self.batch = method, batch

    def forward(self, image: Tensor) -> Tensor:
        """The score map of `image`, `(B, 1, h, w, d)`, slice by slice along the last axis."""
        return self._volume(image, lambda slices: {"score": self.method(slices)})["score"]

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """What the method has to say of every slice, each `(B, C, h, w, d)`."""
        explain: Callable[[Tensor], dict[str, Tensor]] = self.method.explain  # type: ignore[assignment]
        return self._volume(image, explain)

    def _volume(self, image: Tensor, call: Callable[[Tensor], dict[str, Tensor]]) -> dict[str, Tensor]:
        count, depth = image.shape[0], image.shape[-1]
        slices = image.movedim(-1, 1).flatten(0, 1)
        answers = [call(part) for part in torch.split(slices, self.batch)]
        joined = {name: torch.cat([answer[name] for answer in answers]) for name in answers[0]}
        return {name: value.reshape(count, depth, *value.shape[1:]).movedim(1, -1) for name, value in joined.items()}
