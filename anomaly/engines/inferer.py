"""Inference in one pass, or in slabs along the slices where a volume has too many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from monai.inferers import Inferer, SlidingWindowInferer
from torch import Tensor


class SlabInferer(Inferer):
    """Whole volumes at once up to `slices` slices, else overlapping slabs with Gaussian weights.

    Args:
        slices: most slices in one pass; bounds the memory.
        overlap: of neighbouring slabs, as a part of their depth.
        flips: spatial axes along which the volume is also looked at in a mirror, one after the other; the answers
            are averaged.
        zooms: in-plane sizes, as parts of the volume's own, at which it is looked at again: what fills a network's
            field of view at full size does not at half. A voxel takes the answer of the look that scores it highest.

    Raises:
        ValueError: a zoom is not between 0 and 1.
    """

    def __init__(
        self, *, slices: int = 48, overlap: float = 0.25, flips: Sequence[int] = (), zooms: Sequence[float] = ()
    ) -> None:
        super().__init__()
        self.slices = slices
        self.overlap = overlap
        self.flips = tuple(flips)
        self.zooms = tuple(zooms)
        if not all(0 < zoom < 1 for zoom in self.zooms):
            msg = f"zooms must lie between 0 and 1, got {self.zooms}"
            raise ValueError(msg)

    @property
    def passes(self) -> int:
        """How often every voxel is looked at, leaving overlaps and zooms aside."""
        return 1 + len(self.flips)

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `network` on `inputs`, `(B, 1, *spatial)`; a `(B, 1, *spatial)` tensor comes back."""
        with torch.inference_mode():
            answer = self._at_all_sizes(inputs, network, *args, **kwargs)
            for axis in self.flips:
                mirrored = self._at_all_sizes(inputs.flip(axis + 2), network, *args, **kwargs)
                answer = answer + mirrored.flip(axis + 2)
            return answer / self.passes

    def _at_all_sizes(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        """The answer at full size, and where a smaller look scores higher, that look's; channel 0 is the score."""
        answer = self._once(inputs, network, *args, **kwargs)
        mode = "trilinear" if inputs.ndim == 5 else "bilinear"
        for zoom in self.zooms:
            size = [max(1, round(n * zoom)) for n in inputs.shape[2:4]] + list(inputs.shape[4:])
            smaller = F.interpolate(inputs, size=size, mode=mode, align_corners=False)
            coarse = self._once(smaller, network, *args, **kwargs)
            coarse = F.interpolate(coarse, size=inputs.shape[2:], mode=mode, align_corners=False)
            answer = torch.where(coarse[:, :1] > answer[:, :1], coarse, answer)
        return answer

    def _once(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        if inputs.shape[-1] <= self.slices or inputs.ndim == 4:
            answer: Tensor = network(inputs, *args, **kwargs)
            return answer
        roi = (*inputs.shape[2:-1], self.slices)
        window = SlidingWindowInferer(roi, sw_batch_size=1, overlap=self.overlap, mode="gaussian")
        slabs: Tensor = window(inputs, network, *args, **kwargs)
        return slabs
