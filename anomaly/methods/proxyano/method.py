"""ProxyAno: rebuild an image from a proxy that has lost what is abnormal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import AutoEncoder, BasicUNet
from torch import Tensor

from anomaly.method import SinglePass
from anomaly.networks.memory import Memory
from anomaly.networks.shapes import UNET_MULTIPLE, crop_as, pad_to_multiple


class ProxyAno(SinglePass):
    """ProxyAno [Zhou 2021, IEEE TMI 41(3), arXiv 2110.01761], re-implemented from its abstract.

    Proxy extraction maps an image to its superpixel image through a memory of normal features, and cannot do so for
    what the memory does not hold. Image reconstruction maps that proxy back to the image. The score is `|x - x^|`.
    No paper's code was published; sizes and weights are ours.

    Args:
        spatial_dims: 2 or 3.
        channels: of the extractor's encoder; every one halves the image, and the last is the memory's.
        items: of the memory.
        features: of the reconstruction, MONAI's `BasicUNet`.
    """

    def __init__(
        self,
        *,
        spatial_dims: int = 2,
        channels: Sequence[int] = (32, 64, 128),
        items: int = 512,
        features: Sequence[int] = (32, 32, 64, 128, 256, 32),
    ) -> None:
        super().__init__()
        self.stride = [max(2 ** len(channels), UNET_MULTIPLE)] * spatial_dims
        self.extractor = AutoEncoder(
            spatial_dims=spatial_dims,
            in_channels=1,
            out_channels=1,
            channels=tuple(channels),
            strides=(2,) * len(channels),
            norm="BATCH",
        )
        self.memory = Memory(items=items, channels=channels[-1])
        self.reconstructor = BasicUNet(spatial_dims=spatial_dims, in_channels=1, out_channels=1, features=features)

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """`proxy`, `twin` x^ and `score` `|x - x^|`, each `(B, 1, *spatial)` in [0, 1]."""
        proxy, _ = self.extract(image)
        twin = self.reconstruct(proxy).clamp(0, 1)
        return {"proxy": proxy, "twin": twin, "score": (image - twin).abs()}

    def extract(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The proxy as the memory has it, in [0, 1] and of the image's shape, and the entropy of the addressing."""
        features = self.extractor.encode(pad_to_multiple(image, self.stride))
        read, entropy = self.memory(features)
        return crop_as(torch.sigmoid(self.extractor.decode(read)), image), entropy

    def reconstruct(self, proxy: Tensor) -> Tensor:
        """x^ of a proxy `(B, 1, *spatial)`, of the same shape, not cut to [0, 1]."""
        answer: Tensor = self.reconstructor(pad_to_multiple(proxy, self.stride))
        return crop_as(answer, proxy)


def paste(proxy: Tensor, image: Tensor, *, smallest: float = 0.1, largest: float = 0.3) -> Tensor:
    """Pseudo-anomalies: paste a box of an image onto a proxy, which then holds what a normal proxy never does.

    Args:
        proxy: `(B, 1, *spatial)`.
        image: of the same shape, where the box is taken from, at the same place.
        smallest: least part of each axis that the box covers.
        largest: most part.

    Returns:
        `(B, 1, *spatial)`.
    """
    pasted = proxy.clone()
    for sample in range(len(proxy)):
        box: list[slice] = []
        for size in proxy.shape[2:]:
            part = smallest + (largest - smallest) * float(torch.rand(()))
            length = max(1, round(part * size))
            start = int(torch.randint(size - length + 1, ()))
            box.append(slice(start, start + length))
        pasted[sample, 0][tuple(box)] = image[sample, 0][tuple(box)]
    return pasted
