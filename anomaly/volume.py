"""What a detector takes for a volume, and what it refuses: the gate of the command line, for callers of Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np

Array = np.ndarray
_SPACING_MM = (0.05, 50.0)  # outside these no scanner's voxel lies
_FLAT_MM = 0.0005  # of a picture, which may come from a microscope or an optical coherence tomograph
_MIN_INDEPENDENCE = 0.05  # volume of the cell spanned by the three unit axes; 1 is a right-angled one


class VolumeLike(Protocol):
    """What a detector needs of a volume; `data_prep.Volume` is one."""

    @property
    def array(self) -> Array:
        """Intensities `(i, j, k)`."""

    @property
    def affine(self) -> Array:
        """4 x 4, voxel to RAS+ mm."""


class VolumeError(ValueError):
    """A volume that must not be examined; says what `data_prep.InputError` says of a file.

    Args:
        name: of the volume.
        code: a reason code such as `NAN`, for machines.
        reason: one sentence.
    """

    def __init__(self, name: str, code: str, reason: str) -> None:
        super().__init__(f"{name}: {reason} [{code}]")
        self.name, self.code, self.reason = name, code, reason

    def __reduce__(self) -> tuple[type[VolumeError], tuple[str, str, str]]:
        """So that it survives the way back from a worker process."""
        return type(self), (self.name, self.code, self.reason)


def check_volume(volume: VolumeLike, *, flat: bool = False) -> None:
    """Raise unless the volume has three axes of finite numbers that differ, and a place in the world.

    Args:
        volume: to be examined.
        flat: as a picture, one slice along the third axis; a network of three dimensions takes volumes alone.

    Raises:
        VolumeError: WRONG_DIMENSION, NOT_GREYSCALE, NAN, EMPTY, NO_GEOMETRY, BAD_SPACING or SINGULAR_AFFINE.
    """
    name = str(getattr(volume, "source", "")).rpartition("/")[2] or "the volume"
    array, affine = np.asarray(volume.array), np.asarray(volume.affine)
    if array.ndim != 3 or 0 in array.shape:
        raise VolumeError(name, "WRONG_DIMENSION", f"{name} has the shape {array.shape}, one 3-D volume is needed")
    if (array.shape[2] == 1) != flat:
        what = f"is a volume of {array.shape[2]} slices" if flat else "is a picture of one slice"
        kind = "pictures of one slice" if flat else "volumes"
        raise VolumeError(name, "WRONG_DIMENSION", f"{name} {what}, this bundle examines {kind}")
    if array.dtype.kind not in "iufb":
        reason = f"{name} holds {array.dtype} (colour or complex), one number a voxel is needed"
        raise VolumeError(name, "NOT_GREYSCALE", reason)
    _check_affine(name, affine, least=_FLAT_MM if flat else _SPACING_MM[0])
    low, high = array.min(), array.max()  # either is NaN where any voxel is
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        raise VolumeError(name, "NAN", f"{bad} voxels of {name} are not numbers (NaN or infinite)")
    if low == high:
        raise VolumeError(name, "EMPTY", f"{name} is empty: every voxel is {low}")


def channels_of(volume: VolumeLike, names: tuple[str, ...]) -> list[Array]:
    """What the network looks at, one `(i, j, k)` for each sequence; one that is missing is 0 throughout.

    Args:
        volume: with `sequences` where the bundle looks at several.
        names: of the bundle's sequences; empty or one: it looks at one image.

    Raises:
        VolumeError: WRONG_DIMENSION where the volume has not as many sequences as the bundle.
    """
    sequences = tuple(getattr(volume, "sequences", ())) or (volume.array,)
    if len(sequences) != max(1, len(names)):
        name = str(getattr(volume, "source", "")).rpartition("/")[2] or "the volume"
        wanted = f"{len(names)} sequences ({', '.join(names)})" if len(names) > 1 else "one sequence"
        raise VolumeError(name, "WRONG_DIMENSION", f"the bundle looks at {wanted}, and {name} has {len(sequences)}")
    return [np.zeros_like(volume.array) if one is None else one for one in sequences]


def named_flags(flags: Iterable[str], names: tuple[str, ...]) -> list[str]:
    """The flags of a volume with `missing_1` as `missing_FLAIR`, where the bundle names its sequences.

    >>> named_flags(["missing_1", "resampled"], ("T1", "FLAIR"))
    ['missing_FLAIR', 'resampled']
    """
    missing = {f"missing_{number}": f"missing_{name}" for number, name in enumerate(names)}
    return [missing.get(flag, flag) for flag in flags]


def shown_channel(volume: VolumeLike) -> int:
    """The index of the sequence that is the volume's `array`: the first that is not missing."""
    sequences = tuple(getattr(volume, "sequences", ()))
    return next((index for index, one in enumerate(sequences) if one is not None), 0)


def _check_affine(name: str, affine: Array, *, least: float) -> None:
    if affine.shape != (4, 4):
        raise VolumeError(name, "NO_GEOMETRY", f"the affine of {name} has the shape {affine.shape}, not (4, 4)")
    if affine.dtype.kind not in "iuf" or not np.isfinite(affine).all():
        raise VolumeError(name, "NO_GEOMETRY", f"the affine of {name} holds values that are no numbers")
    axes = affine[:3, :3].astype(np.float64)
    spacing = np.linalg.norm(axes, axis=0)
    if not (spacing > 0).all() or abs(np.linalg.det(axes / spacing)) < _MIN_INDEPENDENCE:
        raise VolumeError(name, "SINGULAR_AFFINE", f"the axes of {name} are not independent (singular affine)")
    if (spacing < least).any() or (spacing > _SPACING_MM[1]).any():
        sizes = np.round(spacing, 4).tolist()
        raise VolumeError(name, "BAD_SPACING", f"the voxel size of {name}, {sizes} mm, makes no sense")
