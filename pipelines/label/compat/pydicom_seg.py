"""Stands in for pydicom-seg, which MONAI Label 0.8.5 imports and which does not run with pydicom 3.

It holds the one thing of it that the server uses: reading a segmentation. It writes them with dcmqi.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """A segmentation as a SimpleITK image, each voxel the number of its segment."""

    image: Any


class MultiClassReader:
    """Reads a DICOM segmentation whose segments do not overlap."""

    def read(self, dataset: Any) -> Result:
        """Read a dataset (PS3.3 A.51); gives its voxels in LPS+ millimetres."""
        import highdicom as hd
        import numpy as np
        import SimpleITK as sitk  # noqa: N813

        volume = hd.seg.Segmentation.from_dataset(dataset).get_volume(combine_segments=True)
        image = sitk.GetImageFromArray(volume.array.transpose(2, 1, 0).astype(np.uint8))
        spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((volume.affine[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(volume.affine[:3, 3].tolist())
        return Result(image)
