"""Image sizes that a network can halve, and slices of a volume for methods that work in 2-D."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from anomaly.method import SCORE

UNET_MULTIPLE = 32
"""Of MONAI's `BasicUNet`: it halves four times, and its instance norm needs more than one voxel in the smallest map."""


def pad_to_multiple(image: Tensor, multiples: list[int]) -> Tensor:
    """`(B, C, *spatial)` with zeros (air) behind the end of each axis, up to a multiple of its number."""
    widths: list[int] = []
    for axis in range(image.dim() - 1, 1, -1):
        widths.extend([0, -image.shape[axis] % multiples[axis - 2]])
    return F.pad(image, widths)


def crop_as(image: Tensor, like: Tensor) -> Tensor:
    """The beginning of each axis of `image`, `(B, C, *spatial)`, as long as those of `like`."""
    for axis in range(2, image.dim()):
        image = image.narrow(axis, 0, like.shape[axis])
    return image


class SliceWise(nn.Module):
    """A method for 2-D images, on the slices of volumes.

    Args:
        method: for 2-D images; see `anomaly.method.Method`.
        batch: slices in one call, which bounds the memory.
    """

    def __init__(self, method: nn.Module, *, batch: int = 16) -> None:
        super().__init__()
        self.method, self.batch = method, batch

    def forward(self, image: Tensor) -> Tensor:
        """The score map of `image`, `(B, C, h, w, d)`, slice by slice along the last axis, the mean of its channels."""
        scores: list[Tensor] = []  # of the channels that are there; of all where none is
        every: list[Tensor] = []
        for channel in torch.split(image, 1, dim=1):
            parts = [self.method(part) for part in torch.split(self._slices(channel), self.batch)]
            every.append(self._volume(torch.cat(parts), channel))
            if bool(channel.any()):
                scores.append(every[-1])
        return torch.stack(scores if len(scores) > 0 else every).mean(dim=0)

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """What the method has to say of every slice, each `(B, C, h, w, d)`."""
        return self._of_slices(self.method.explain, image)

    def examine(self, image: Tensor) -> dict[str, Tensor]:
        """What an examination needs of every slice, each `(B, C, h, w, d)`."""
        return self._of_slices(self.method.examine, image)

    def _of_slices(self, call: Any, image: Tensor) -> dict[str, Tensor]:
        """Of each channel alone; scores are averaged over those that are there, all else stands side by side."""
        channels = [self._of_channel(call, channel) for channel in torch.split(image, 1, dim=1)]
        if len(channels) == 1:
            return channels[0]
        there = [bool(channel.any()) for channel in torch.split(image, 1, dim=1)]
        joined = {name: torch.cat([one[name] for one in channels], dim=1) for name in channels[0]}
        scores = [one[SCORE] for one, present in zip(channels, there, strict=True) if present or not any(there)]
        return {**joined, SCORE: torch.stack(scores).mean(dim=0)}

    def _of_channel(self, call: Any, image: Tensor) -> dict[str, Tensor]:
        answers = [call(part) for part in torch.split(self._slices(image), self.batch)]
        return {name: self._volume(torch.cat([answer[name] for answer in answers]), image) for name in answers[0]}

    def _slices(self, image: Tensor) -> Tensor:
        """`(B * d, 1, h, w)` of `(B, 1, h, w, d)`."""
        return image.movedim(-1, 1).flatten(0, 1)

    def _volume(self, slices: Tensor, like: Tensor) -> Tensor:
        """`(B, C, h, w, d)` of `(B * d, C, h, w)`."""
        volume: Tensor = slices.unflatten(0, [like.shape[0], like.shape[-1]])  # type: ignore[no-untyped-call]
        return volume.movedim(1, -1)
