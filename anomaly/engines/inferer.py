"""Inference in one pass, or in slabs along the slices where a volume has too many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer, SlidingWindowInferer
from torch import Tensor


class SlabInferer(Inferer):
    """Whole volumes at once up to `slices` slices, else overlapping slabs with Gaussian weights.

    Args:
        slices: most slices in one pass; bounds the memory.
        overlap: of neighbouring slabs, as a part of their depth.
    """

    def __init__(self, *, slices: int = 48, overlap: float = 0.25) -> None:
        super().__init__()
        self.slices = slices
        self.overlap = overlap

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `network` on `inputs`, `(B, 1, *spatial)`; a `(B, 1, *spatial)` tensor comes back."""
        with torch.inference_mode():
            if inputs.shape[-1] <= self.slices or inputs.ndim == 4:
                return network(inputs, *args, **kwargs)
            roi = (*inputs.shape[2:-1], self.slices)
            window = SlidingWindowInferer(roi, sw_batch_size=1, overlap=self.overlap, mode="gaussian")
            return window(inputs, network, *args, **kwargs)
