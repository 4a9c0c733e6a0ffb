"""One score of a map: the mean of its highest voxels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray
_Image = TypeVar("_Image", np.ndarray, "Tensor")
_AIR = 0.04  # normalised intensity below which a voxel is background
TOP_FRACTION = 0.002
_BOX_FRACTION = 0.01  # of the voxels of an organ's box; of a left ventricle's about 4 ml


def foreground(image: _Image) -> _Image:
    """Where the body is: `image`, any shape, in [0, 1], above 0.04."""
    return image > _AIR


def image_score(score_map: Array, body: Array, *, fraction: float = TOP_FRACTION) -> float:
    """The mean of the highest `fraction` of the scores in the body, in [0, 1].

    Args:
        score_map: any shape, in [0, 1].
        body: same shape, bool; where it is empty the score is 0.
        fraction: part of the body's voxels; at least one voxel counts. A maximum would follow single voxels,
            a mean would drown small lesions: 0.2 % of a head is about 5 ml.
    """
    scores = score_map[body]
    if scores.size == 0:
        return 0.0
    count = max(1, round(fraction * scores.size))
    return float(np.partition(scores, -count)[-count:].mean())


def box_of(item: Mapping[Any, Any], key: str | None) -> tuple[slice, ...]:
    """The box `[[start, stop], ...]`, in the source's voxels, that an item has under `key`; empty: it has none."""
    return tuple(slice(*map(int, ends)) for ends in item.get(key, ()))


def box_score(scores: Array) -> float:
    """The score of an organ's box: the mean of its highest 1 %, in [0, 1].

    Args:
        scores: of the voxels in the box, any shape, in [0, 1].
    """
    return image_score(scores, np.ones(scores.shape, dtype=bool), fraction=_BOX_FRACTION)
