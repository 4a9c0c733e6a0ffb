"""Was each true lesion outlined?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.record import LesionRecord, TruthRecord

if TYPE_CHECKING:
    from data_prep import Volume

Array = np.ndarray
_OUTLINED = 0.25  # part of a lesion that must be inside the mask to call it outlined
_NEIGHBOURS = np.ones((3, 3, 3))


def load_truth(path: str | Path, volume: Volume) -> Array:
    """The true mask of a volume, `(i, j, k)` bool on the volume's grid.

    A label on another grid (other axis order, other spacing) is brought over by its affine, nearest neighbour.
    """
    import nibabel as nib
    from nibabel.processing import resample_from_to

    from data_prep import read_volume
    from data_prep.volume import is_flat

    label = read_volume(path, allow_constant=True)
    shape = volume.array.shape
    if label.shape == shape and (is_flat(shape) or np.allclose(label.affine, volume.affine, atol=1e-3)):
        return label.array > 0  # a picture's mask has its pixels, whatever either file says of their size
    moved = resample_from_to(nib.Nifti1Image(label.array, label.affine), (shape, volume.affine), order=0)
    return np.asarray(moved.dataobj) > 0


def compare(mask: Array, truth: Array, affine: Array, *, min_ml: float = 2.0) -> TruthRecord:
    """A mask against the truth, over the whole case and lesion by lesion.

    Args:
        mask: `(i, j, k)`, above 0 where abnormal.
        truth: same shape, bool.
        affine: 4 x 4, voxel to mm.
        min_ml: true lesions (26-connected parts) below this volume are not listed; of a picture all are.
    """
    from scipy import ndimage

    from anomaly.scoring.lesions import is_flat, voxel_volume

    found = mask > 0
    voxel_ml = voxel_volume(affine, truth.shape)
    min_ml = 0.0 if is_flat(truth.shape) else min_ml
    true_parts, count = ndimage.label(truth, structure=_NEIGHBOURS)
    mask_parts, _ = ndimage.label(found, structure=_NEIGHBOURS)
    lesions = [true_parts == index for index in range(1, count + 1)]
    records = [_lesion(lesion, mask_parts, voxel_ml) for lesion in lesions if lesion.sum() * voxel_ml >= min_ml]
    return TruthRecord(
        dice=round(dice(found, truth), 4) if truth.any() else None,
        lesions=sorted(records, key=lambda record: -record.volume_ml),
        mask_ml=round(float(found.sum()) * voxel_ml, 3),
    )


def dice(first: Array, second: Array) -> float:
    """Twice the intersection over the sum of two bool arrays, one of them not empty."""
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


def _lesion(lesion: Array, mask_parts: Array, voxel_ml: float) -> LesionRecord:
    touching = np.unique(mask_parts[lesion])
    touching = touching[touching > 0]
    overlap = float((mask_parts[lesion] > 0).mean())
    return LesionRecord(
        volume_ml=round(float(lesion.sum()) * voxel_ml, 2),
        overlap=round(overlap, 4),
        dice=round(dice(np.isin(mask_parts, touching), lesion), 4),
        outcome="outlined" if overlap >= _OUTLINED else "partly outlined" if overlap > 0 else "missed",
    )
