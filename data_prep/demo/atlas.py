"""A whole head in MNI space: the MNI152 brain that nilearn ships, with spaces around it that it leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from data_prep.demo.face import AIR, outer_surface, soft_tissue
from data_prep.demo.fields import resize

Array = np.ndarray
ORIGIN_MM = (-98, -134, -112)  # centre of the first voxel, RAS mm; the template starts at -98, -134, -72
_SURFACE_STEP = 2  # mm; distances are smooth, so they are found on this grid and interpolated
_EXTENT_MM = (196, 260, 220)  # room for the nose in front and the neck below
_CLOSING_MM = (22.0, 9.0)  # fills the fissures; less below the frontal lobe, where bone fills the larger gaps
_BASE_MM = -8.0  # height of the floor of the anterior fossa
_CSF_MM = 1.2  # subarachnoid space over the convexity


@dataclass(frozen=True, eq=False)
class Atlas:
    """Maps `(x, y, z)` in MNI space, RAS.

    Args:
        step: mm between voxels, the same along the three axes.
        grey: probability of grey matter, float32.
        white: probability of white matter, float32.
        skull_mm: distance from the inner table of the skull, negative inside, float32.
        skin_mm: distance from the skin, negative inside the head, float32.
        soft: tissue between skull and scalp, air outside, index into `face.TISSUES`, uint8.
    """

    step: int
    grey: Array
    white: Array
    skull_mm: Array
    skin_mm: Array
    soft: Array


@lru_cache(maxsize=2)
def load_atlas(step: int = 1) -> Atlas:
    """Build the atlas, once for each resolution.

    Args:
        step: mm between voxels, 1 or a small multiple.

    Returns:
        Maps of equal shape; their first voxel lies at `ORIGIN_MM`.
    """
    grey, white, brain = (_place(volume, step) for volume in _template())
    spacing = max(step, _SURFACE_STEP)
    skull = _inner_table(brain[(slice(None, None, spacing // step),) * 3] > 0.5, spacing)
    skin = outer_surface(_coordinates(skull.shape, spacing), skull)
    if spacing > step:
        skull, skin = resize(np.stack([skull, skin]), grey.shape)
    soft = np.where(skin < 1, soft_tissue(_coordinates(grey.shape, step), step), AIR)
    return Atlas(step, grey, white, skull, skin, soft)


def _template() -> tuple[Array, Array, Array]:
    """Grey and white matter `(197, 233, 189)` in [0, 1] and the brain, 1 mm (Fonov 2011, ICBM 2009a)."""
    import nibabel as nib
    from nilearn.datasets import GM_MNI152_FILE_PATH, MNI152_FILE_PATH, WM_MNI152_FILE_PATH

    paths = (GM_MNI152_FILE_PATH, WM_MNI152_FILE_PATH, MNI152_FILE_PATH)
    grey, white, t1 = (np.asarray(nib.load(path).dataobj, dtype=np.float32) for path in paths)
    return grey / grey.max(), white / white.max(), (t1 > 0).astype(np.float32)


def _place(volume: Array, step: int) -> Array:
    """`volume` on the grid of the atlas; averaged over blocks of `step` voxels."""
    below = -72 - ORIGIN_MM[2]
    room = np.zeros(tuple(extent + step for extent in _EXTENT_MM), dtype=np.float32)
    kept = volume[:, :, : room.shape[2] - below]
    room[: kept.shape[0], : kept.shape[1], below : below + kept.shape[2]] = kept
    if step > 1:
        room = ndimage.uniform_filter(room, step)
    return np.ascontiguousarray(room[::step, ::step, ::step])


def _inner_table(brain: Array, spacing: int) -> Array:
    """Distance in mm from the inner table of the skull, negative inside, `(x, y, z)` float32."""
    gap = ndimage.distance_transform_edt(~brain) * spacing
    vault, base = (ndimage.distance_transform_edt(gap < width) * spacing > width for width in _CLOSING_MM)
    height = ORIGIN_MM[2] + spacing * np.arange(brain.shape[2])
    closed = np.where(height > _BASE_MM, vault, base) | brain
    outside = ndimage.distance_transform_edt(~closed) - ndimage.distance_transform_edt(closed)
    return np.asarray(ndimage.gaussian_filter(outside.astype(np.float32) * spacing, 3.0 / spacing) - _CSF_MM)


def _coordinates(shape: tuple[int, ...], step: int) -> tuple[Array, Array, Array]:
    """MNI coordinates in mm along x, y and z, shaped to be broadcast."""
    axes = [first + step * np.arange(size, dtype=np.float32) for first, size in zip(ORIGIN_MM, shape, strict=True)]
    x, y, z = np.ix_(*axes)
    return x, y, z
