"""What a prepared scan looks like, in a few numbers: scans of another kind are told by them."""

from __future__ import annotations

import numpy as np

Array = np.ndarray
_SIGMA = 1.4826 / np.sqrt(6)  # from the median absolute second difference of Gaussian noise to its deviation


def appearance(image: Array, body: Array) -> dict[str, float]:
    """Intensities and noise of a scan as the network sees it.

    Args:
        image: `(i, j, k)` in [0, 1], prepared.
        body: same shape, bool.

    Returns:
        `dark` and `bright`, the 10th and 90th percentile of the body, and `noise`, the standard deviation of what
        changes from voxel to voxel along the first axis [after Immerkaer 1996]; empty where there is no body.
    """
    inside = image[body]
    if inside.size == 0:
        return {}
    dark, bright = np.percentile(inside, (10, 90))
    change = np.abs(np.diff(image, n=2, axis=0))[body[1:-1]]
    noise = _SIGMA * np.median(change) if change.size else 0.0
    return {name: round(float(value), 6) for name, value in (("dark", dark), ("bright", bright), ("noise", noise))}
