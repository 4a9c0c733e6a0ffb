"""Volumes for tests of file formats."""

import numpy as np
import SimpleITK

VOXELS = np.arange(60, dtype="<i2").reshape(3, 4, 5, order="F")


def sitk_image(array, affine):
    """`(i, j, k)` at an affine to RAS+, which SimpleITK keeps in LPS."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.T))
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image
