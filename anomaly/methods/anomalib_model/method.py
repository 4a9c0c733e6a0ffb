"""A torch model of anomalib behind the interface of all methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from monai.data import MetaTensor
from torch import Tensor, nn

from anomaly.method import SinglePass

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of each channel, as backbones expect


class AnomalibModel(SinglePass):
    """One of anomalib's `torch_model`s [Akcay 2022, ICIP, arXiv 2202.08341] on slices.

    A slice goes in as anomalib's own pre-processing has it: three equal channels, `size` x `size`, ImageNet's mean and
    standard deviation. The anomaly map a comes back at the slice's size. With a0 the smallest and a1 the largest value
    of the maps of healthy slices, the score is `x / (x + a1 - a0)` of `x = max(a - a0, 0)`: 0.5 is as high as any of
    them, and all values above a0 keep their order, whatever their scale.

    A model is made ready in one of two ways, and `fit` takes a0 and a1 from healthy slices. One that collects features
    (PatchCore, PaDiM) gets `finish` there, its own step from features to memory. One that learns by gradients (reverse
    distillation, FastFlow) gets its `loss` from anomalib, and is trained by `anomaly.engines.MethodTrainer` first.

    Args:
        model: maps `(B, 3, size, size)` to an answer with `anomaly_map`, `(B, 1, *)` or `(B, *)`, when in evaluation.
        loss: from what the model answers in training (a tuple is unpacked) to a number.
        size: of the model's input along both axes.
    """

    def __init__(self, model: nn.Module, *, loss: Callable[..., Tensor] | None = None, size: int = 256) -> None:
        super().__init__()
        self.model, self.loss, self.size = model, loss, size
        self.lowest: Tensor
        self.span: Tensor
        self.register_buffer("lowest", torch.zeros(()))
        self.register_buffer("span", torch.ones(()))

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """`score`, and the model's own `anomaly_map`, at the image's size, each `(B, 1, h, w)`.

        Raises:
            ValueError: `image` is no batch of slices, or the model gives no map.
        """
        self.model.eval()
        answer = self.model(self.prepared(image))
        found = getattr(answer, "anomaly_map", None)
        if found is None:
            msg = f"{type(self.model).__name__} gives no anomaly map, so it has nothing to localise with"
            raise ValueError(msg)
        maps = found[:, None] if found.dim() == 3 else found
        maps = _resized(maps, image.shape[2:])
        above = (maps - self.lowest).clamp(min=0)
        return {"score": above / (above + self.span), "anomaly_map": maps}

    def losses(self, image: Tensor) -> dict[str, Tensor]:
        """The model's own loss of healthy slices `(B, 1, h, w)`.

        Raises:
            ValueError: there is none.
        """
        if self.loss is None:
            msg = f"{type(self.model).__name__} came without a loss, so it cannot be trained by gradients"
            raise ValueError(msg)
        self.model.train()
        answer = self.model(self.prepared(image))
        return {"anomalib": self.loss(*answer) if isinstance(answer, tuple) else self.loss(answer)}

    @torch.no_grad()
    def fit(self, images: Sequence[Tensor], *, finish: Callable[[Any], object] | None = None) -> None:
        """Let the model collect features of healthy slices, where it does that, and take the range of its maps.

        Args:
            images: healthy slices, each `(B, 1, h, w)` in [0, 1].
            finish: what the model does with the features that it collected, such as `lambda model: model.fit()`; None:
                it collects none.

        Raises:
            ValueError: there is no image, or the model gives no map.
        """
        if not images:
            msg = "there is no healthy slice to fit the model to"
            raise ValueError(msg)
        if finish is not None:
            self.model.train()
            for image in images:
                self.model(self.prepared(image))
            finish(self.model)
        ranges = [torch.aminmax(self.explain(image)["anomaly_map"]) for image in images]
        self.lowest.copy_(torch.stack([one.min for one in ranges]).min())
        highest = torch.stack([one.max for one in ranges]).max()
        self.span.copy_((highest - self.lowest).clamp(min=1e-6))

    def prepared(self, image: Tensor) -> Tensor:
        """`(B, 3, size, size)` of `image`, `(B, 1, h, w)` in [0, 1], as backbones expect; never a MetaTensor.

        Raises:
            ValueError: `image` is no batch of slices.
        """
        if image.dim() != 4 or image.shape[1] != 1:
            msg = f"slices (B, 1, h, w) are needed, got {tuple(image.shape)}; volumes go through SliceWise"
            raise ValueError(msg)
        plain = image.as_tensor() if isinstance(image, MetaTensor) else image
        mean, std = (torch.tensor(values, device=image.device)[:, None, None] for values in _IMAGENET.values())
        return (_resized(plain, (self.size, self.size)) - mean) / std


def _resized(image: Tensor, size: Iterable[int]) -> Tensor:
    return F.interpolate(image, size=tuple(size), mode="bilinear", align_corners=False, antialias=True)
