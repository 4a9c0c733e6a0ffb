"""`HeadMap`: which tissue is where in one person's head."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from data_prep.heads.tissues import BRAIN, INDEX, TISSUES, members, to_tissues

Array = np.ndarray
_BRAIN = members(BRAIN)
_OUTER = members(("cortex", "cerebellar_cortex"))
_OPEN = members(("air", "fluid", "ventricle"))
Corner = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class HeadMap:
    """A map of tissues.

    Args:
        tissues: `(x, y, z)` uint8, index into `TISSUES`; axes to the right, the front and up.
        spacing: mm of a voxel along each axis.
    """

    tissues: Array
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @cached_property
    def middle(self) -> tuple[float, float, float]:
        """The middle of the ventricles, or of the map where there are none, in voxels."""
        inside = np.argwhere(self.tissues == INDEX["ventricle"])
        x, y, z = inside.mean(axis=0) if len(inside) else (np.array(self.tissues.shape) - 1) / 2
        return float(x), float(y), float(z)

    @cached_property
    def brain_box(self) -> tuple[Corner, Corner]:
        """First and last voxel of the brain along each axis; of the map where there is no brain."""
        return _box(_BRAIN[self.tissues])

    @cached_property
    def head_box(self) -> tuple[Corner, Corner]:
        """First and last voxel of the head along each axis."""
        return _box(self.tissues > 0)

    @cached_property
    def atrophied(self) -> HeadMap:
        """The same head with wider sulci: the outermost voxel of the cortex is fluid."""
        bare = _OPEN[self.tissues]
        near = bare.copy()
        for axis in range(3):
            ahead, behind = (tuple(part if at == axis else slice(None) for at in range(3)) for part in _NEXT)
            near[ahead] |= bare[behind]
            near[behind] |= bare[ahead]
        tissues = np.where(near & _OUTER[self.tissues], np.uint8(INDEX["fluid"]), self.tissues)
        return HeadMap(tissues, self.spacing)


_NEXT = (slice(1, None), slice(None, -1))


def read_head(path: str | Path) -> HeadMap:
    """Read a label map of a whole head.

    Args:
        path: NIfTI or NRRD, voxels of about 1 mm, numbers of `LABELS`.

    Raises:
        InputError: the file is no volume; UNKNOWN_LABELS: its numbers are no tissues; NO_BRAIN: none of them is brain.
    """
    from data_prep.cases.read import read_volume
    from data_prep.errors import InputError

    volume = read_volume(path)
    try:
        head = head_of(volume.array, volume.affine)
    except ValueError as error:
        raise InputError(path, "UNKNOWN_LABELS", f"{Path(path).name}: {error}") from error
    if not _BRAIN[head.tissues].any():
        raise InputError(path, "NO_BRAIN", f"{Path(path).name} has no voxel of brain")
    return head


def head_of(labels: Array, affine: Array) -> HeadMap:
    """The map of an array of labels `(i, j, k)` and its affine, turned to the nearest axes and cut to the head.

    Raises:
        ValueError: a label that no tissue is known for, or values that are no whole numbers.
    """
    import nibabel as nib

    if labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        msg = "the values are no whole numbers, so this is no label map"
        raise ValueError(msg)
    tissues = to_tissues(labels.astype(np.int64))
    image = nib.as_closest_canonical(nib.Nifti1Image(tissues, affine))  # type: ignore[no-untyped-call]
    tissues = np.asarray(image.dataobj)
    low, high = _box(tissues > 0)
    cut = tissues[tuple(slice(start, stop + 1) for start, stop in zip(low, high, strict=True))]
    x, y, z = (float(mm) for mm in image.header.get_zooms()[:3])
    return HeadMap(np.ascontiguousarray(cut), (x, y, z))


def _box(inside: Array) -> tuple[Corner, Corner]:
    if not inside.any():
        return (0, 0, 0), tuple(size - 1 for size in inside.shape)  # type: ignore[return-value]
    ends = []
    for axis in range(3):
        along = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        ends.append((int(along[0]), int(along[-1])))
    low, high = zip(*ends, strict=True)
    return low, high


def count_tissues(head: HeadMap) -> dict[str, float]:
    """Millilitres of each tissue in the map."""
    voxels = np.bincount(head.tissues.ravel(), minlength=len(TISSUES))
    millilitres = voxels * float(np.prod(head.spacing)) / 1000
    return dict(zip(TISSUES, map(float, millilitres), strict=True))
