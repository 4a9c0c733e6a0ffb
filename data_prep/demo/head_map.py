"""The demo's head as a map of tissues, so that a scan of any contrast can be made without a label map of one's own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from data_prep.demo import face
from data_prep.demo.atlas import ORIGIN_MM, load_atlas
from data_prep.heads.head_map import HeadMap
from data_prep.heads.tissues import INDEX

_SKULL_MM, _SCALP_MM = 6.0, 5.0
_SOLID = {
    face.BONE: "bone", face.MARROW: "marrow", face.VITREOUS: "eye", face.CSF: "fluid", face.CORD: "cord",
    face.MUCOSA: "mucosa", face.AIR: "air",
}  # fmt: skip
_TENTORIUM_MM, _BEHIND_MM = -22.0, -35.0  # below and behind is cerebellum, in MNI space
_VENTRICLES_MM = ((0.0, -10.0, 12.0), (26.0, 52.0, 26.0))  # a box around the lateral ventricles: middle, half extent


@lru_cache(maxsize=1)
def demo_head(step: int = 1) -> HeadMap:
    """The template's head; grey and white matter by the larger probability.

    Args:
        step: mm between voxels.
    """
    atlas = load_atlas(step)
    tissues = np.full(atlas.grey.shape, INDEX["soft"], dtype=np.uint8)
    for number, name in _SOLID.items():
        tissues[atlas.soft == number] = INDEX[name]
    tissues[(atlas.skin_mm > -_SCALP_MM) & (atlas.skin_mm < 0)] = INDEX["skin"]
    tissues[atlas.skin_mm >= 1] = INDEX["air"]
    tissues[(atlas.skull_mm >= 0) & (atlas.skull_mm < _SKULL_MM)] = INDEX["bone"]
    x, y, z = np.ix_(*(first + step * np.arange(tissues.shape[axis]) for axis, first in enumerate(ORIGIN_MM)))
    inside = atlas.skull_mm < 0
    middle, half = _VENTRICLES_MM
    deep = (abs(x - middle[0]) < half[0]) & (abs(y - middle[1]) < half[1]) & (abs(z - middle[2]) < half[2])
    low = (z < _TENTORIUM_MM) & (y < _BEHIND_MM)
    tissues[inside] = INDEX["fluid"]
    tissues[inside & deep & (atlas.skull_mm < -30)] = INDEX["ventricle"]
    matter = inside & (atlas.grey + atlas.white > 0.5)
    white = atlas.white > atlas.grey
    for mask, name in (
        (matter & white & ~low, "white"),
        (matter & ~white & ~low, "cortex"),
        (matter & white & low, "cerebellar_white"),
        (matter & ~white & low, "cerebellar_cortex"),
    ):
        tissues[mask] = INDEX[name]
    return HeadMap(tissues, (float(step),) * 3)
