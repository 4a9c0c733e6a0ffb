"""`AnomalyMapd`: an examination as a step of anybody's MONAI `Compose`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from anomaly.detector import Detector
from anomaly.images import as_volume


class AnomalyMapd(MapTransform):
    """Examine an image and put the score map, the mask and the finding beside it.

    Of `image` these are `image_score` and `image_mask`, MetaTensors `(1, i, j, k)` on the image's own grid, and
    `image_finding`, a `Finding`. The image stays as it is. The bundle is loaded when the first item comes.

    Args:
        keys: of images: MetaTensors `(C, i, j, k)`, as `LoadImaged` and `EnsureChannelFirstd` give them before anything
            is scaled, or anything else that `Detector.examine` takes.
        bundle: the folder of a bundle, or a detector.
        score: what stands behind an image's key for its score map.
        mask: the same for its mask.
        finding: the same for its finding.
        allow_missing_keys: see MONAI.
        **options: of `Detector`, such as `device`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        bundle: str | Path | Detector,
        score: str = "_score",
        mask: str = "_mask",
        finding: str = "_finding",
        allow_missing_keys: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.bundle, self.options = bundle, options
        self.score, self.mask, self.finding = score, mask, finding

    @cached_property
    def detector(self) -> Detector:
        """The bundle's detector."""
        return self.bundle if isinstance(self.bundle, Detector) else Detector(self.bundle, **self.options)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Examine every key."""
        item = dict(data)
        for key in self.key_iterator(item):
            volume = as_volume(item[key], load=self.detector.load)
            exam = self.detector.examine(volume, case=str(item.get("case", "")))
            affine = torch.as_tensor(volume.affine)
            for ending, array in ((self.score, exam.score), (self.mask, exam.mask)):
                item[f"{key}{ending}"] = MetaTensor(torch.as_tensor(array)[None], affine=affine)
            item[f"{key}{self.finding}"] = exam.finding
        return item
