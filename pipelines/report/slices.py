"""Slices as a radiologist looks at them, and which of them to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation

from anomaly.scoring.assess import NO_ORIENTATION
from anomaly.scoring.lesions import is_flat, slice_axis

Array = np.ndarray
_PLANES = ("sagittal", "coronal", "axial")
_EDGES = {"sagittal": ("A", "P"), "coronal": ("R", "L"), "axial": ("R", "L")}
_APART_MM = 5.0  # neighbouring thin slices look alike


@dataclass(frozen=True, kw_only=True)
class View:
    """How to show volumes of one grid, cut across their thickest axis, in radiological convention.

    The patient's right is on the left of axial and coronal pictures, anterior on the left of sagittal ones;
    anterior or superior is up. Oblique grids are shown along their own axes, each named by the nearest body axis.

    Args:
        orientation: nibabel's `(3, 2)` source-to-RAS orientation.
        axis: the body axis that the slices are stacked along: 0 (left-right), 1 or 2.
        aspect: height over width of a pixel.
        thickness: distance of neighbouring slices in mm.
        count: how many slices there are.
        sided: is it known which side is left? Of pictures it is not.
    """

    orientation: Array
    axis: int
    aspect: float
    thickness: float
    count: int
    sided: bool = True

    @classmethod
    def of(cls, shape: tuple[int, ...], affine: Array, flags: Sequence[str] = ()) -> View:
        """The view of a grid.

        Args:
            shape: `(i, j, k)`.
            affine: voxel to RAS+ mm.
            flags: of the volume.
        """
        orientation = io_orientation(affine)
        source_of = np.argsort(orientation[:, 0])
        spacing = np.linalg.norm(affine[:3, :3], axis=0)[source_of]
        axis = int(orientation[2 if is_flat(shape) else slice_axis(affine), 0])
        columns, rows = (other for other in range(3) if other != axis)
        return cls(
            orientation=orientation,
            axis=axis,
            aspect=float(spacing[rows] / spacing[columns]),
            thickness=float(spacing[axis]),
            count=shape[source_of[axis]],
            sided=NO_ORIENTATION not in flags,
        )

    @property
    def plane(self) -> str:
        """Name of the plane."""
        return _PLANES[self.axis] if self.sided else "picture"

    @property
    def edges(self) -> tuple[str, str]:
        """What is on the left and on the right of a picture."""
        return _EDGES[self.plane] if self.sided else ("", "")

    def show(self, array: Array) -> Array:
        """A volume `(i, j, k)` as `(rows, columns, slices)`, slices from left, posterior or inferior."""
        body = np.moveaxis(apply_orientation(array, self.orientation), self.axis, -1)
        return np.swapaxes(body[::-1, ::-1], 0, 1)

    def number(self, index: int) -> int:
        """The slice `index` of a shown volume, counted from 1 in the source's own order."""
        source_axis = int(np.flatnonzero(self.orientation[:, 0] == self.axis)[0])
        return index + 1 if self.orientation[source_axis, 1] > 0 else self.count - index


def most_abnormal(mask: Array, score: Array, *, thickness: float, most: int = 4) -> list[int]:
    """The slices to look at, in ascending order.

    First the slice where each outlined region (largest first) is widest, then the slices with the most outlined
    score, then those with the highest scores, central ones first where there is no difference; neighbours closer
    than 5 mm to a chosen slice come last.

    Args:
        mask: `(rows, columns, slices)`, above 0 where outlined.
        score: same shape, in [0, 1].
        thickness: distance of slices, mm.
        most: how many at most.
    """
    highest = max(1, score[..., 0].size // 200)
    high = np.partition(score.reshape(-1, score.shape[-1]), -highest, axis=0)[-highest:].mean(axis=0).round(2)
    inside = (score * (mask > 0)).sum(axis=(0, 1))
    off_centre = np.abs(np.arange(score.shape[-1]) - (score.shape[-1] - 1) / 2)
    ranked = [*_widest(mask, most), *np.lexsort((off_centre, -high, -inside)).tolist()]
    apart = max(1, round(_APART_MM / thickness))
    chosen: list[int] = []
    for distance in (apart, 1):
        for index in ranked:
            if len(chosen) < most and all(abs(index - other) >= distance for other in chosen):
                chosen.append(index)
    return sorted(chosen)


def numbered(mask: Array) -> Array:
    """The regions of a mask `(i, j, k)` numbered as a finding lists its lesions: the largest is 1; 0 elsewhere."""
    parts, count = _parts(mask)
    order = np.argsort(-np.bincount(parts.ravel(), minlength=count + 1)[1:], kind="stable")
    number = np.zeros(count + 1, dtype=np.int32)
    number[order + 1] = np.arange(1, count + 1)
    return number[parts]


def _parts(mask: Array) -> tuple[Array, int]:
    from scipy import ndimage

    parts, count = ndimage.label(mask > 0, structure=np.ones((3, 3, 3)))
    return parts, count


def _widest(mask: Array, most: int) -> list[int]:
    parts, count = _parts(mask)
    if count == 0:
        return []
    sizes = np.bincount(parts.ravel())[1:]
    largest = (np.argsort(-sizes, kind="stable") + 1)[:most]
    return [int((parts == index).sum(axis=(0, 1)).argmax()) for index in largest]
