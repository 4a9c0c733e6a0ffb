"""Inference in one pass, or in slabs along the slices where a volume has too many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.inferers import Inferer, SlidingWindowInferer
from torch import Tensor


class SlabInferer(Inferer):
    """Whole volumes at once up to `slices` slices, else overlapping slabs with Gaussian weights.

    Args:
        slices: most slices in one pass; bounds the memory.
        overlap: of neighbouring slabs, as a part of their depth.
        flips: spatial axes along which the volume is also looked at in a mirror, one after the other; the answers
            are averaged.
    """

    def __init__(self, *, slices: int = 48, overlap: float = 0.25, flips: Sequence[int] = ()) -> None:
        super().__init__()
        self.slices = slices
        self.overlap = overlap
        self.flips = tuple(flips)

    @property
    def passes(self) -> int:
        """How often every voxel is looked at, leaving overlaps aside."""
        return 1 + len(self.flips)

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `network` on `inputs`, `(B, 1, *spatial)`; a `(B, 1, *spatial)` tensor comes back."""
        with torch.inference_mode():
            answer = self._once(inputs, network, *args, **kwargs)
            for axis in self.flips:
                mirrored = self._once(inputs.flip(axis + 2), network, *args, **kwargs)
                answer = answer + mirrored.flip(axis + 2)
            return answer / self.passes

    def _once(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        if inputs.shape[-1] <= self.slices or inputs.ndim == 4:
            answer: Tensor = network(inputs, *args, **kwargs)
            return answer
        roi = (*inputs.shape[2:-1], self.slices)
        window = SlidingWindowInferer(roi, sw_batch_size=1, overlap=self.overlap, mode="gaussian")
        slabs: Tensor = window(inputs, network, *args, **kwargs)
        return slabs
