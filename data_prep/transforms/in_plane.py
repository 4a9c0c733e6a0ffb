"""MONAI dictionary transforms for pictures: one size where nobody knows that of a pixel, and masks on their image."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform, Resize

from data_prep.errors import InputError


class ResizeInPlaned(MapTransform):
    """Resize volumes `(C, i, j, k)` in-plane so that the longer side has a number of voxels; slices stay.

    MONAI's `Resize` by linear interpolation, smoothed before it where voxels become fewer; the affine goes along, so
    that results find their way back to the source.

    Args:
        keys: what to resize, MetaTensors.
        longest: voxels along the longer of the first two axes.

    Raises:
        ValueError: `longest` is less than 1.
    """

    def __init__(self, keys: KeysCollection, *, longest: int, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if longest < 1:
            msg = f"longest must be at least 1 voxel, got {longest}"
            raise ValueError(msg)
        self.longest = longest

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Resize every key."""
        item = dict(data)
        for key in self.key_iterator(item):
            i, j, k = item[key].shape[1:]
            part = self.longest / max(i, j)
            size = (max(1, round(i * part)), max(1, round(j * part)), k)
            item[key] = Resize(size, mode="trilinear", anti_aliasing=part < 1)(item[key])
        return item


class MaskOnPictured(MapTransform):
    """Give the mask of a picture its picture's place: pixel stands for pixel, whatever either file says of their size.

    Args:
        keys: of masks `(C, i, j, 1)`, MetaTensors.
        key_dst: of the picture.

    Raises:
        InputError: MIXED_GRID where the mask has another number of pixels.
    """

    def __init__(self, keys: KeysCollection, *, key_dst: str = "image", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.key_dst = key_dst

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Place every key."""
        item = dict(data)
        image = item[self.key_dst]
        for key in self.key_iterator(item):
            if item[key].shape[1:] != image.shape[1:]:
                sizes = " and ".join(" x ".join(map(str, one.shape[1:3])) for one in (item[key], image))
                raise InputError(str(item.get("case", "")), "MIXED_GRID", f"mask and picture have {sizes} pixels")
            item[key].affine = image.affine
        return item
