"""Pixel padding (PS3.3 C.7.5.1.1.2): pixels outside the field of view, which a scanner did not measure, become air."""

from __future__ import annotations

import numpy as np

_AIR_HU = -1000
_WITHIN = 0.01  # part of the measured values below and above the padding from which on it is a value like any other


def fill_padding(values: np.ndarray, padded: np.ndarray, modality: str) -> None:
    """Give padded voxels the value of air, in place.

    Air is -1000 HU in CT. Elsewhere it is 0, or the measured value next to 0 where 0 is not among these. A padding
    value in the midst of the measured values is one that a writer declared without using it: nothing is changed.

    Args:
        values: rescaled, of any shape.
        padded: where the stored value was padding.
        modality: such as CT.
    """
    if not padded.any() or padded.all():
        return
    measured = values[~padded]
    padding = values[padded]
    if min((measured < padding.min()).mean(), (measured > padding.max()).mean()) > _WITHIN:
        return
    low, high = measured.min(), measured.max()
    if modality == "CT":
        least = np.iinfo(values.dtype).min if values.dtype.kind in "iu" else _AIR_HU
        values[padded] = max(_AIR_HU, least)
    else:
        values[padded] = np.clip(0, low, high)
