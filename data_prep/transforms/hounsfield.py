"""Is a cohort CT, in Hounsfield units, and which window holds its tissue?"""

from __future__ import annotations

import numpy as np

from data_prep.transforms.window import AIR_HU, TissueWindow

Array = np.ndarray
_AIR_SHARE = 0.02  # of the voxels, below -500, from which on values look like HU
_LOWEST_HU, _HIGHEST_HU = -10_000.0, 40_000.0


def looks_like_hu(array: Array) -> bool:
    """Are these values Hounsfield units: air far below 0, whole numbers but for resampling, none beyond any CT?

    Args:
        array: `(i, j, k)`.
    """
    low, high = float(array.min()), float(array.max())
    return low >= _LOWEST_HU and high <= _HIGHEST_HU and high > 0 and float((array < AIR_HU).mean()) > _AIR_SHARE


class Hounsfield:
    """Looks at one training scan after the other.

    Attributes:
        notes: what a person should know, in sentences.
    """

    def __init__(self) -> None:
        self.tissue = TissueWindow()
        self.like_hu: list[bool] = []
        self.notes: list[str] = []

    def add(self, array: Array, modality: str) -> None:
        """Take in a scan `(i, j, k)` of a modality; "" where nobody says which."""
        self.like_hu.append(modality in ("CT", "") and looks_like_hu(array))
        if modality == "CT" or self.like_hu[-1]:
            self.tissue.add(array)

    def judged(self, modality: str) -> tuple[str, tuple[float, float] | None]:
        """The modality, and the window where it is CT.

        Args:
            modality: that the scans are said to have; "" where nobody says it: values that all look like HU are CT.
        """
        if not modality and self.like_hu and all(self.like_hu):
            modality = "CT"
            self.notes.append("the values are taken for Hounsfield units (CT); where they are none, say `modality: MR`")
        if modality != "CT":
            return modality, None
        if not all(self.like_hu):
            count = self.like_hu.count(False)
            self.notes.append(f"{count} CT scans hold no air at -1000 HU: check that their values are Hounsfield units")
        return modality, self.tissue.window()
