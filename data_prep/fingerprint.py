"""`Fingerprint`: what a cohort's scans have in common, from which the settings of a training follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from data_prep.volume import NO_SIZE, Volume, is_flat

_MOST_IN_PLANE = 128  # voxels across the prepared image; finer is slower and needs more scans
_MOST_IN_PICTURE = 192  # the same of pictures, which have one slice to compute
_THICK = 2.0  # slices this many times taller than a voxel is wide are thick


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """The common ground of a cohort.

    Args:
        axcodes: the orientation that all scans are brought to, slices (the coarsest axis) last: "RAS", "ASR", ...
        spacing: median voxel size in mm along these axes.
        extent: largest size in mm along these axes; of pictures the median, as one large picture must not set the grid.
        scans: how many it was taken from.
        chosen: the voxel size in mm to work at, along these axes; None: it follows from the others.
        flat: are they pictures, volumes of one slice?
        sized: is the voxel size of every one known?
    """

    axcodes: str
    spacing: tuple[float, float, float]
    extent: tuple[float, float, float]
    scans: int
    chosen: tuple[float, float, float] | None = None
    flat: bool = False
    sized: bool = True

    @property
    def thick(self) -> bool:
        """Are the slices so thick that they must not be halved in number?"""
        steps = self.chosen or self.spacing
        return self.flat or steps[2] >= _THICK * max(steps[:2])

    @property
    def pixdim(self) -> tuple[float, float, float]:
        """The voxel size to work at: the chosen one, the scans' own, or as coarse as the most voxels across ask for.

        128 across a volume, 192 across a picture.
        """
        if self.chosen is not None:
            return self.chosen
        most = _MOST_IN_PICTURE if self.flat else _MOST_IN_PLANE
        in_plane = max(*self.spacing[:2], max(self.extent[:2]) / most)
        return in_plane, in_plane, self.spacing[2] if self.thick else max(self.spacing[2], in_plane)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Size in voxels at `pixdim` of the largest scan, or of the median picture."""
        i, j, k = (max(1, round(length / step)) for length, step in zip(self.extent, self.pixdim, strict=True))
        return i, j, k


def take_fingerprint(volumes: Iterable[Volume]) -> Fingerprint:
    """The fingerprint of a cohort.

    Args:
        volumes: one after the other; only their shapes, affines and flags are looked at.

    Raises:
        ValueError: there is none, or some are pictures and others are not.
    """
    codes: Counter[str] = Counter()
    sizes: list[tuple[np.ndarray, np.ndarray]] = []
    kinds: set[bool] = set()
    sized = True
    for volume in volumes:
        matrix = np.asarray(volume.affine, dtype=float)[:3, :3]
        to_world = np.argmax(np.abs(matrix), axis=0)  # of each voxel axis: right, anterior or superior
        order = np.argsort(to_world) if len(set(to_world)) == 3 else np.arange(3)
        steps = np.linalg.norm(matrix, axis=0)[order]
        sizes.append((steps, steps * np.array(volume.array.shape)[order]))
        flat = is_flat(volume.array.shape)
        kinds.add(flat)
        sized &= NO_SIZE not in volume.flags
        coarsest = int(np.argmax(np.round(steps, 3) + np.array([0, 0, 1e-3])))  # the last, where all are alike
        across = int(np.flatnonzero(order == 2)[0]) if flat else coarsest
        names = [axis for axis in range(3) if axis != across] + [across]
        codes["".join("RAS"[axis] for axis in names)] += 1
    if len(kinds) != 1:
        msg = "a fingerprint needs volumes or pictures alone, " + (
            "got both" if kinds else "at least one scan, got none"
        )
        raise ValueError(msg)
    axcodes, flat = codes.most_common(1)[0][0], kinds.pop()
    along = ["RAS".index(code) for code in axcodes]
    spacing = np.median([steps[along] for steps, _ in sizes], axis=0)
    extent = (np.median if flat else np.max)([lengths[along] for _, lengths in sizes], axis=0)
    return Fingerprint(
        axcodes=axcodes,
        spacing=_triple(spacing),
        extent=_triple(extent),
        scans=len(sizes),
        flat=flat,
        sized=sized,
    )


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    i, j, k = (round(float(value), 3) if value >= 0.1 else float(f"{value:.4g}") for value in values)
    return i, j, k
