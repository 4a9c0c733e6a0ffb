"""The grid of a DICOM series: its slices sorted, and refused unless they fill one regular box.

Readers in common use accept a series with a missing or doubled slice and return a volume of the wrong height.
Image plane: DICOM PS3.3 C.7.6.2; its affine: C.7.6.2.1.1, equation C.7.6.2.1-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.dicom_instance import Instance
from data_prep.dicom_series import Series, digest
from data_prep.errors import InputError
from data_prep.volume import check_affine, check_size

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_COSINE_TOLERANCE = 1e-3  # some scanners write three digits; 0.06 degrees
_SPACING_TOLERANCE = 1e-3  # relative, of PixelSpacing
_GAP_TOLERANCE = 0.01  # relative to the distance between slices: what highdicom allows
_MIN_GAP_TOLERANCE_MM = 0.05  # positions in the field are rounded to 0.1 mm at worst
_SAME_PLACE_MM = 0.01  # below this two positions differ by rounding alone
_MAX_TILT = 0.01  # sine of the angle between stacking direction and slice normal


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices that fill one regular grid.

    Args:
        instances: from the first to the last along the slice normal.
        affine: 4 x 4 float64, (column, row, slice) to RAS+ mm.
    """

    instances: tuple[Instance, ...]
    affine: np.ndarray


def stack(series: Series, place: Path) -> Stack:
    """Sort a series by position and check that it is one volume.

    Args:
        series: as found.
        place: file or folder that errors name.

    Raises:
        InputError: TRUNCATED, UNSUPPORTED_MULTIFRAME, NOT_GREYSCALE, MIXED_PATIENTS, NO_GEOMETRY, MIXED_GRID,
            DUPLICATE_CONFLICT, MULTI_VOLUME, WRONG_DIMENSION, GANTRY_TILT, MISSING_SLICES, VARIABLE_SPACING or
            TOO_LARGE.
    """
    if series.unreadable:
        reason = f"{Path(series.unreadable.path).name} beside it cannot be read, so a slice may be missing"
        raise InputError(place, series.unreadable.code, reason)
    instances = _without_copies(series.instances, place)
    for instance in instances:
        _check_instance(instance)
    _check_alike(instances, place)
    instances, positions, normal = _sorted(instances)
    _check_places(instances, positions @ normal, place)
    _check_straight(instances, positions, normal, place)
    _check_gaps(instances, positions @ normal, place)
    check_size(place, (*instances[0].shape, len(instances)))
    affine = _affine(instances[0], (positions[-1] - positions[0]) / (len(instances) - 1))
    check_affine(place, affine)
    return Stack(tuple(instances), affine)


def _without_copies(instances: Sequence[Instance], place: Path) -> list[Instance]:
    """One file for each SOPInstanceUID; a second one must be equal byte for byte."""
    kept: dict[str, Instance] = {}
    for instance in instances:
        other = kept.setdefault(instance.sop_uid or str(instance.path), instance)
        if other is not instance and digest(other.path) != digest(instance.path):
            reason = f"{other.path.name} and {instance.path.name} are called the same image but differ"
            raise InputError(place, "DUPLICATE_CONFLICT", reason)
    return list(kept.values())


def _check_instance(instance: Instance) -> None:
    """What every slice must say for itself."""
    path = instance.path
    if instance.frames > 1:
        reason = "several slices in one file (enhanced multi-frame or mosaic); export the series as classic DICOM"
        raise InputError(path, "UNSUPPORTED_MULTIFRAME", reason)
    if not instance.intensities:
        raise InputError(path, "NOT_GREYSCALE", f"not a plain grey image ({instance.photometric or 'lookup table'})")
    for name in ("orientation", "position", "spacing"):
        if not getattr(instance, name):
            raise InputError(path, "NO_GEOMETRY", f"the slice does not say where it lies (no valid {name})")
    row, column = _cosines(instance)
    off = max(abs(np.linalg.norm(row) - 1), abs(np.linalg.norm(column) - 1), abs(row @ column))
    if off > 10 * _COSINE_TOLERANCE:
        raise InputError(path, "NO_GEOMETRY", "the slice's row and column directions are not at right angles")
    if min(instance.spacing) <= 0:
        raise InputError(path, "NO_GEOMETRY", f"pixel spacing {instance.spacing} mm makes no sense")


def _check_alike(instances: Sequence[Instance], place: Path) -> None:
    """One patient, one grid, one orientation, one echo, one point in time."""
    first = instances[0]
    if len({instance.patient for instance in instances}) > 1:
        raise InputError(place, "MIXED_PATIENTS", "the series holds images of more than one patient")
    for instance in instances:
        name = instance.path.name
        if instance.shape != first.shape or instance.photometric != first.photometric:
            raise InputError(place, "MIXED_GRID", f"{name} has another number of pixels or another grey scale")
        if not np.allclose(instance.spacing, first.spacing, rtol=_SPACING_TOLERANCE):
            raise InputError(place, "MIXED_GRID", f"{name} has another pixel spacing than the other slices")
        if np.abs(np.subtract(instance.orientation, first.orientation)).max() > _COSINE_TOLERANCE:
            raise InputError(place, "MIXED_GRID", f"{name} is turned against the other slices (a localizer?)")
    if len({instance.moment for instance in instances}) > 1:
        raise InputError(place, "MULTI_VOLUME", "the series holds several volumes (echoes or points in time)")


def _sorted(instances: Sequence[Instance]) -> tuple[list[Instance], np.ndarray, np.ndarray]:
    """Instances and their positions `(n, 3)` from low to high along the slice normal, and the normal, LPS."""
    normal = np.cross(*_cosines(instances[0]))
    normal /= np.linalg.norm(normal)
    positions = np.array([instance.position for instance in instances])
    order = np.argsort(positions @ normal, kind="stable")
    return [instances[index] for index in order], positions[order], normal


def _check_places(instances: Sequence[Instance], heights: np.ndarray, place: Path) -> None:
    """Every slice has a place of its own."""
    new = np.diff(heights, prepend=-np.inf) > _SAME_PLACE_MM
    counts = np.bincount(np.cumsum(new) - 1)
    if counts.size > 1 and counts.min() == counts.max() > 1:
        raise InputError(place, "MULTI_VOLUME", f"the series holds {counts[0]} volumes, one over the other")
    if not new.all():
        index = int(np.flatnonzero(~new)[0])
        pair = f"{instances[index - 1].path.name} and {instances[index].path.name}"
        raise InputError(place, "DUPLICATE_CONFLICT", f"two different slices lie in one place: {pair}")
    if len(instances) < 2:
        raise InputError(place, "WRONG_DIMENSION", "a single slice is no volume")


def _check_straight(instances: Sequence[Instance], positions: np.ndarray, normal: np.ndarray, place: Path) -> None:
    """The slices lie straight above each other."""
    along = positions[-1] - positions[0]
    sideways = float(np.linalg.norm(along - (along @ normal) * normal) / np.linalg.norm(along))
    if sideways > _MAX_TILT:
        angle = np.degrees(np.arcsin(min(sideways, 1.0)))
        raise InputError(place, "GANTRY_TILT", f"the slices are stacked askew, by {angle:.1f} degrees")
    line = positions[0] + np.outer((positions - positions[0]) @ along / (along @ along), along)
    off = np.linalg.norm(positions - line, axis=1)
    if off.max() > _tolerance(float(np.linalg.norm(along)) / (len(instances) - 1)):
        name = instances[int(off.argmax())].path.name
        raise InputError(place, "VARIABLE_SPACING", f"{name} is shifted sideways by {off.max():.2f} mm")


def _check_gaps(instances: Sequence[Instance], heights: np.ndarray, place: Path) -> None:
    """The slices lie at equal distances."""
    gaps = np.diff(heights)
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])
    wrong = np.flatnonzero(np.abs(gaps - usual) > _tolerance(usual))
    if not wrong.size:
        return
    at = wrong[0]
    between = f"between {instances[at].path.name} and {instances[at + 1].path.name}"
    steps = gaps[wrong] / usual
    if (np.rint(steps) >= 2).all() and np.allclose(steps, np.rint(steps), atol=0.1):
        lost = int((np.rint(steps) - 1).sum())
        reason = f"{lost} slice{'s are' if lost > 1 else ' is'} missing, the first {between}: {gaps[at]:.2f} mm apart"
        raise InputError(place, "MISSING_SLICES", reason)
    reason = f"the distance between slices varies from {gaps.min():.2f} to {gaps.max():.2f} mm, first {between}"
    raise InputError(place, "VARIABLE_SPACING", reason)


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
