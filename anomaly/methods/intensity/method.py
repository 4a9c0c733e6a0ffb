"""The intensity baseline: bright is abnormal."""

from __future__ import annotations

import torch
from monai.utils import convert_to_numpy
from skimage.exposure import equalize_hist
from torch import Tensor

from anomaly.method import SinglePass
from anomaly.scoring.score import foreground

_BINS = 4096


class IntensityThreshold(SinglePass):
    """The intensity inside the body as the score map, as it is or after histogram equalisation.

    On FLAIR this finds tumours better than many a trained model [Meissen 2021, arXiv 2109.06023]. It finds
    nothing that is dark, and learns nothing.

    Args:
        equalise: the score of a voxel is the part of the image's body that is not brighter.
    """

    def __init__(self, *, equalise: bool = False) -> None:
        super().__init__()
        self.equalise = equalise

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """`score`, 0 outside the body, and `body`, 1 where the body is, each `(B, 1, *spatial)`."""
        if image.shape[1] > 1:  # of several sequences the mean of those that are there
            there = (image.flatten(2) != 0).any(dim=2).sum(dim=1).clamp(min=1)
            image = image.sum(dim=1, keepdim=True) / there.reshape(-1, *[1] * (image.dim() - 1))
        images = convert_to_numpy(image)
        body = foreground(images)
        inside = torch.as_tensor(body, device=image.device)
        score = image
        if self.equalise:
            ranks = [
                equalize_hist(one, nbins=_BINS, mask=where) if where.any() else one
                for one, where in zip(images, body, strict=True)
            ]
            score = torch.stack([torch.as_tensor(rank, dtype=image.dtype) for rank in ranks]).to(image.device)
        return {"score": torch.where(inside, score, 0).clamp(0, 1), "body": inside.to(image.dtype)}
