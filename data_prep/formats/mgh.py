"""FreeSurfer's volumes: `.mgh`, and `.mgz`, which is the same compressed."""

from __future__ import annotations

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.content import Content
from data_prep.formats.layout import Layout, check_voxels

_HEADER = 284  # bytes before the voxels
_PLACED = slice(28, 30)  # bytes of `goodRASFlag`, big-endian as everything in it


def mgh_layout(content: Content) -> Layout:
    """What a file says of its voxels; see surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat.

    Raises:
        InputError: NOT_AN_IMAGE; NO_GEOMETRY where it says that its directions count for nothing.
    """
    from nibabel.freesurfer.mghformat import MGHHeader

    source, block = content.source, content.first(_HEADER)
    try:
        if len(block) < _HEADER:
            raise ValueError("it is too short")
        header = MGHHeader(block)
        dtype, shape = header.get_data_dtype(), tuple(int(size) for size in header.get_data_shape())
        affine = np.array(header.get_affine(), np.float64)
    except Exception as error:  # nibabel raises many types
        raise InputError(str(source), "NOT_AN_IMAGE", f"{source.name} is not an MGH image ({error})") from error
    check_voxels(source, dtype, shape)
    if block[_PLACED] != b"\0\1":
        raise InputError(str(source), "NO_GEOMETRY", f"{source.name} does not say where it lies (goodRASFlag)")
    return Layout(dtype=dtype, shape=shape, affine=affine, data=source, offset=_HEADER)
