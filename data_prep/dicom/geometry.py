"""The grid of a DICOM series: its slices sorted, and refused unless they fill one regular box.

Readers in common use accept a series with a missing or doubled slice and return a volume of the wrong height.
Image plane: DICOM PS3.3 C.7.6.2; its affine: C.7.6.2.1.1, equation C.7.6.2.1-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.dicom.instance import MOMENTS, Instance
from data_prep.errors import InputError
from data_prep.volume import check_affine, check_size

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_COSINE_TOLERANCE = 1e-3  # some scanners write three digits; 0.06 degrees
_SPACING_TOLERANCE = 1e-3  # relative, of PixelSpacing
_GAP_TOLERANCE = 0.01  # relative to the distance between slices: what highdicom allows
_MIN_GAP_TOLERANCE_MM = 0.05  # positions in the field are rounded to 0.1 mm at worst
_SAME_PLACE_MM = 0.01  # below this two positions differ by rounding alone
_TILT = 0.01  # sine of the angle between stacking direction and slice normal above which the grid is sheared
_MAX_TILT = 0.6  # sine; gantries tilt by 30 degrees at most


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices that fill one regular grid.

    Args:
        instances: from the first to the last along the slice normal.
        places: index along the grid's third axis of each; 0, 1, 2, ... where no slice is missing.
        affine: 4 x 4 float64, (column, row, slice) to RAS+ mm; sheared where the gantry was tilted.
        flags: `gantry_tilt`, `gaps_allowed`.
    """

    instances: tuple[Instance, ...]
    places: tuple[int, ...]
    affine: np.ndarray
    flags: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(columns, rows, slices) of the grid, missing slices included."""
        rows, columns = self.instances[0].shape
        return columns, rows, self.places[-1] + 1


def stack(group: Sequence[Instance], place: str | Path, *, allow_gaps: bool = False) -> Stack:
    """Sort the slices of one volume by position and check that they fill a regular grid.

    Args:
        group: one image for each slice; see `split_volumes`.
        place: file or folder that errors name.
        allow_gaps: let whole slices be missing; `Stack.places` tells where.

    Raises:
        InputError: the fault of an image, UNSUPPORTED_MULTIFRAME, NO_GEOMETRY, MIXED_GRID, MULTI_VOLUME,
            DUPLICATE_CONFLICT, SINGLE_SLICE, VARIABLE_SPACING, MISSING_SLICES or TOO_LARGE.
    """
    if len(group) < 2:
        raise InputError(place, "SINGLE_SLICE", f"{group[0].source.name} is a single image, not a volume")
    _check_instances(group, place)
    _check_alike(group, place)
    instances, positions, normal = _sorted(group)
    heights = positions @ normal
    _check_places(instances, heights, place)
    tilted = _check_straight(instances, positions, normal, place)
    places = _grid_places(instances, heights, place, allow_gaps=allow_gaps)
    check_size(place, (*instances[0].shape, places[-1] + 1))
    affine = _affine(instances[0], (positions[-1] - positions[0]) / places[-1])
    check_affine(place, affine)
    gaps = places[-1] + 1 > len(places)
    flags = [name for name, present in (("gantry_tilt", tilted), ("gaps_allowed", gaps)) if present]
    return Stack(tuple(instances), places, affine, tuple(flags))


def _check_instances(instances: Sequence[Instance], place: str | Path) -> None:
    """Raise where an image alone cannot be part of a volume."""
    for instance in instances:
        if instance.fault:
            raise InputError(place, *instance.fault)
        if "MOSAIC" in instance.image_type or (instance.frames > 1 and instance.frame is None):
            what = "a mosaic of slices" if "MOSAIC" in instance.image_type else f"{instance.frames} frames in one image"
            reason = f"{instance.source.name} holds {what}, which is not supported"
            raise InputError(place, "UNSUPPORTED_MULTIFRAME", reason)
        for word in ("orientation", "position", "spacing"):
            if not getattr(instance, word):
                reason = f"{instance.source.name} does not say where it lies (no valid {word})"
                raise InputError(place, "NO_GEOMETRY", reason)
        if min(instance.spacing) <= 0:
            reason = f"the pixel spacing of {instance.source.name}, {instance.spacing} mm, makes no sense"
            raise InputError(place, "NO_GEOMETRY", reason)
    cosines = np.array([instance.orientation for instance in instances]).reshape(-1, 2, 3)
    off = np.abs(cosines @ cosines.transpose(0, 2, 1) - np.eye(2)).max(axis=(1, 2))
    if off.max() > 20 * _COSINE_TOLERANCE:
        name = instances[int(off.argmax())].source.name
        reason = f"the row and column directions of {name} are not unit vectors at right angles"
        raise InputError(place, "NO_GEOMETRY", reason)


def _check_alike(instances: Sequence[Instance], place: str | Path) -> None:
    """One grid, one orientation, one frame of reference, one grey scale, one echo and point in time."""
    first = instances[0]
    for instance in instances:
        name = instance.source.name
        if (instance.shape, instance.photometric) != (first.shape, first.photometric):
            raise InputError(place, "MIXED_GRID", f"{name} has another number of pixels or another grey scale")
        if instance.moment[:MOMENTS] != first.moment[:MOMENTS]:
            reason = f"{name} is of another echo, time point or b-value than the slices beside it"
            raise InputError(place, "MULTI_VOLUME", reason)
        if instance.reference_frame != first.reference_frame:
            raise InputError(place, "MIXED_GRID", f"{name} has another frame of reference than the other slices")
    spacings = np.array([instance.spacing for instance in instances])
    cosines = np.array([instance.orientation for instance in instances])
    _check_equal(np.abs(spacings / spacings[0] - 1), _SPACING_TOLERANCE, "has another pixel spacing", instances, place)
    _check_equal(np.abs(cosines - cosines[0]), _COSINE_TOLERANCE, "is turned", instances, place)


def _check_equal(
    off: np.ndarray, tolerance: float, what: str, instances: Sequence[Instance], place: str | Path
) -> None:
    """Raise MIXED_GRID for the image with the largest of the deviations `(n, ...)` if that is too large."""
    if off.max() > tolerance:
        name = instances[int(off.max(axis=1).argmax())].source.name
        raise InputError(place, "MIXED_GRID", f"{name} {what} against the other slices")


def _sorted(instances: Sequence[Instance]) -> tuple[list[Instance], np.ndarray, np.ndarray]:
    """Instances and their positions `(n, 3)` from low to high along the slice normal, and the normal, LPS."""
    normal = np.cross(*_cosines(instances[0]))
    normal /= np.linalg.norm(normal)
    positions = np.array([instance.position for instance in instances])
    order = np.argsort(positions @ normal, kind="stable")
    return [instances[index] for index in order], positions[order], normal


def _check_places(instances: Sequence[Instance], heights: np.ndarray, place: str | Path) -> None:
    """Every slice has a place of its own."""
    new = np.diff(heights, prepend=-np.inf) > _SAME_PLACE_MM
    counts = np.bincount(np.cumsum(new) - 1)
    if counts.size > 1 and counts.min() == counts.max() > 1:
        raise InputError(place, "MULTI_VOLUME", f"the series holds {counts[0]} volumes, one over the other")
    if not new.all():
        index = int(np.flatnonzero(~new)[0])
        pair = f"{instances[index - 1].source.name} and {instances[index].source.name}"
        raise InputError(place, "DUPLICATE_CONFLICT", f"two different slices lie in one place: {pair}")


def _check_straight(
    instances: Sequence[Instance], positions: np.ndarray, normal: np.ndarray, place: str | Path
) -> bool:
    """The slices lie on one line. Is it askew to their normal, as under a tilted gantry?"""
    along = positions[-1] - positions[0]
    line = positions[0] + np.outer((positions - positions[0]) @ along / (along @ along), along)
    off = np.linalg.norm(positions - line, axis=1)
    if off.max() > _tolerance(float(np.linalg.norm(along)) / (len(instances) - 1)):
        name = instances[int(off.argmax())].source.name
        raise InputError(place, "VARIABLE_SPACING", f"{name} is shifted sideways by {off.max():.2f} mm")
    sideways = float(np.linalg.norm(along - (along @ normal) * normal) / np.linalg.norm(along))
    if sideways > _MAX_TILT:
        angle = np.degrees(np.arcsin(min(sideways, 1.0)))
        reason = f"the slices from {instances[0].source.name} on are stacked askew by {angle:.1f} degrees"
        raise InputError(place, "VARIABLE_SPACING", reason)
    return sideways > _TILT


def _grid_places(
    instances: Sequence[Instance], heights: np.ndarray, place: str | Path, *, allow_gaps: bool
) -> tuple[int, ...]:
    """Each slice's index in a grid of equal distances."""
    gaps = np.diff(heights)
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])
    wrong = np.flatnonzero(np.abs(gaps - usual) > _tolerance(usual))
    if not wrong.size:
        return tuple(range(len(instances)))
    at = wrong[0]
    between = f"between {instances[at].source.name} and {instances[at + 1].source.name}"
    steps = np.rint(gaps / usual)
    if (steps[wrong] < 2).any() or np.abs(gaps - steps * usual).max() > 0.1 * usual:
        reason = f"the distance between slices varies from {gaps.min():.2f} to {gaps.max():.2f} mm, first {between}"
        raise InputError(place, "VARIABLE_SPACING", reason)
    places = np.concatenate([[0], np.cumsum(steps)]).astype(int)
    if not allow_gaps:
        lost = int(places[-1]) + 1 - len(places)
        reason = f"{lost} slice{'s are' if lost > 1 else ' is'} missing, the first {between}: {gaps[at]:.2f} mm apart"
        raise InputError(place, "MISSING_SLICES", reason)
    off = np.abs(heights - heights[0] - places * (heights[-1] - heights[0]) / places[-1])
    if off.max() > _tolerance(usual):
        name = instances[int(off.argmax())].source.name
        raise InputError(place, "VARIABLE_SPACING", f"{name} lies {off.max():.2f} mm off the grid around the gaps")
    return tuple(int(index) for index in places)


def _tolerance(distance: float) -> float:
    """Millimetres by which a slice may be off, never more than a tenth of the distance between slices."""
    return min(max(_MIN_GAP_TOLERANCE_MM, _GAP_TOLERANCE * distance), 0.1 * distance)


def _affine(first: Instance, step: np.ndarray) -> np.ndarray:
    """4 x 4, (column, row, slice) to RAS+ mm; `step` from slice to slice in LPS."""
    row, column = _cosines(first)
    affine = np.eye(4)
    affine[:3, 0] = row / np.linalg.norm(row) * first.spacing[1]
    affine[:3, 1] = column / np.linalg.norm(column) * first.spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    return np.asarray(_LPS_TO_RAS @ affine)


def _cosines(instance: Instance) -> tuple[np.ndarray, np.ndarray]:
    """Directions of a row (growing column index) and of a column, LPS."""
    return np.array(instance.orientation[:3]), np.array(instance.orientation[3:])
