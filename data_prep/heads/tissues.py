"""Tissue classes of a whole head, and which numbers of a label map belong to each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

Array = np.ndarray
LABELS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "air": (0,),
        "white": (2, 41, 25, 57, 77, 85, 530),
        "cortex": (3, 42, 17, 53, 18, 54, 19, 55, 20, 56),
        "deep": (10, 49, 11, 50, 12, 51, 13, 52, 26, 58, 28, 60),
        "cerebellar_white": (7, 46),
        "cerebellar_cortex": (8, 47),
        "stem": (16,),
        "ventricle": (4, 43, 5, 44, 14, 15, 72),
        "fluid": (24,),
        "choroid": (31, 63, 136, 137, 163, 164),
        "artery": (30, 62, 502),
        "vein": (514,),
        "soft": (507, 508, 258),
        "skin": (511,),
        "bone": (515, 165),
        "marrow": (516,),
        "eye": (506, 259),
        "mucosa": (509,),
        "cord": (512,),
    }
)
"""FreeSurfer's numbers, and those above 500 (258, 259 in merged maps) of the maps of whole heads."""

TISSUES = tuple(LABELS)
BRAIN = ("white", "cortex", "deep", "cerebellar_white", "cerebellar_cortex", "stem")
CEREBELLUM = ("cerebellar_white", "cerebellar_cortex", "stem")
INSIDE = (*BRAIN, "ventricle", "fluid", "choroid", "artery")
INDEX: Mapping[str, int] = MappingProxyType({name: index for index, name in enumerate(TISSUES)})


def members(names: tuple[str, ...]) -> Array:
    """Which classes are among `names`, `(len(TISSUES),)` bool: index it with a map of classes."""
    return np.isin(np.arange(len(TISSUES)), [INDEX[name] for name in names])


def to_tissues(labels: Array) -> Array:
    """The class of every voxel of a label map, any shape of whole numbers, as uint8.

    Raises:
        ValueError: a number that no class has; the message lists them.
    """
    known = {number: INDEX[name] for name, numbers in LABELS.items() for number in numbers}
    found = np.unique(labels)
    if unknown := [int(number) for number in found if int(number) not in known]:
        msg = f"the label map has numbers that no tissue is known for: {unknown}; known are {sorted(known)}"
        raise ValueError(msg)
    table = np.array([known[int(number)] for number in found], dtype=np.uint8)
    return table[np.searchsorted(found, labels)]
