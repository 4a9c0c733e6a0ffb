"""The grid of a DICOM series: its slices sorted, and refused unless they fill one regular box.

Readers in common use accept a series with a missing or doubled slice and return a volume of the wrong height.
Image plane: DICOM PS3.3 C.7.6.2; its affine: C.7.6.2.1.1, equation C.7.6.2.1-1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_prep.dicom.component import FLAGS, MIXED
from data_prep.dicom.instance import MOMENT, Instance
from data_prep.dicom.regular import grid_places
from data_prep.errors import InputError
from data_prep.volume import check_affine, check_size

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_COSINE_TOLERANCE = 1e-3  # some scanners write three digits; 0.06 degrees
_SPACING_TOLERANCE = 1e-3  # relative, of PixelSpacing
_SAME_PLACE_MM = 0.01  # below this two positions differ by rounding alone
_SILENT = 0.1  # of the slices may leave out what the others say of their echo, time or energy
_TILT = 0.01  # sine of the angle between stacking direction and slice normal above which the grid is sheared
_MAX_TILT = 0.6  # sine; gantries tilt by 30 degrees at most


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices that fill one regular grid.

    Args:
        instances: from the first to the last along the slice normal.
        places: index along the grid's third axis of each; 0, 1, 2, ... where no slice is missing.
        affine: 4 x 4 float64, (column, row, slice) to RAS+ mm; sheared where the gantry was tilted.
        flags: `gantry_tilt`, `gaps_allowed`, `end_slice_lost`, `inverted`, `phase`, `real_part`, `imaginary_part`.
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
    try:
        return _stack(group, allow_gaps=allow_gaps)
    except InputError as error:
        raise InputError(place, error.code, error.reason) from error


def _stack(group: Sequence[Instance], *, allow_gaps: bool) -> Stack:
    """As `stack`; errors name no place."""
    _check_several(group)
    _check_instances(group)
    _check_alike(group)
    instances, positions, normal = _sorted(group)
    _check_places(instances, positions @ normal)
    tilted = _check_tilt(instances, positions, normal)
    places = grid_places(instances, positions, normal, allow_gaps=allow_gaps)
    name = instances[0].source.name
    check_size(name, (*instances[0].shape, places[-1] + 1))
    affine = _affine(instances[0], (positions[-1] - positions[0]) / places[-1])
    check_affine(name, affine)
    gaps = places[-1] + 1 > len(places)
    component = FLAGS.get(instances[0].moment[0], "")
    flags = {"gantry_tilt": tilted, "gaps_allowed": gaps, "inverted": instances[0].inverted, component: component}
    return Stack(tuple(instances), places, affine, tuple(name for name, there in flags.items() if there))


def _check_several(group: Sequence[Instance]) -> None:
    """Images of one place are no volume, be they one or many, as those that watch a contrast medium come."""
    name = group[0].source.name
    if len(group) == 1:
        raise InputError("", "SINGLE_SLICE", f"{name} is a single image, not a volume")
    if group[0].position and len({(instance.position, instance.orientation) for instance in group}) == 1:
        reason = f"{name} and {len(group) - 1} more are images of one place, not a volume"
        raise InputError("", "SINGLE_SLICE", reason)


def _check_instances(instances: Sequence[Instance]) -> None:
    """Raise where an image alone cannot be part of a volume."""
    for instance in instances:
        if instance.fault:
            raise InputError("", *instance.fault)
        if "MOSAIC" in instance.image_type or (instance.frames > 1 and instance.frame is None):
            what = "a mosaic of slices" if "MOSAIC" in instance.image_type else f"{instance.frames} frames in one image"
            reason = f"{instance.source.name} holds {what}, which is not supported"
            raise InputError("", "UNSUPPORTED_MULTIFRAME", reason)
        for word in ("orientation", "position", "spacing"):
            if not getattr(instance, word):
                reason = f"{instance.source.name} does not say where it lies (no valid {word})"
                raise InputError("", "NO_GEOMETRY", reason)
        if min(instance.spacing) <= 0:
            reason = f"the pixel spacing of {instance.source.name}, {instance.spacing} mm, makes no sense"
            raise InputError("", "NO_GEOMETRY", reason)
    _check_cosines(instances)


def _check_cosines(instances: Sequence[Instance]) -> None:
    """Raise NO_GEOMETRY unless rows and columns run at right angles."""
    cosines = np.array([instance.orientation for instance in instances]).reshape(-1, 2, 3)
    off = np.abs(cosines @ cosines.transpose(0, 2, 1) - np.eye(2)).max(axis=(1, 2))
    if off.max() > 20 * _COSINE_TOLERANCE:
        name = instances[int(off.argmax())].source.name
        reason = f"the row and column directions of {name} are not unit vectors at right angles"
        raise InputError("", "NO_GEOMETRY", reason)


def _check_alike(instances: Sequence[Instance]) -> None:
    """One grid, one orientation, one frame of reference, one grey scale, one moment."""
    first = instances[0]
    for instance in instances:
        name = instance.source.name
        if (instance.shape, instance.inverted) != (first.shape, first.inverted):
            raise InputError("", "MIXED_GRID", f"{name} has another number of pixels or another grey scale")
        if instance.reference_frame != first.reference_frame:
            raise InputError("", "MIXED_GRID", f"{name} has another frame of reference than the other slices")
        if instance.posture != first.posture and instance.posture and first.posture:
            raise InputError("", "MIXED_GRID", f"{name} shows the patient in another position than the other slices")
        if instance.moment[0] == MIXED:
            reason = f"{instance.source.name} mixes magnitude and phase, and does not say which frame is which"
            raise InputError("", "MULTI_VOLUME", reason)
    _check_moment(instances)
    spacings = np.array([instance.spacing for instance in instances])
    cosines = np.array([instance.orientation for instance in instances])
    _check_equal(np.abs(spacings / spacings[0] - 1), _SPACING_TOLERANCE, "has another pixel spacing", instances)
    _check_equal(np.abs(cosines - cosines[0]), _COSINE_TOLERANCE, "is turned", instances)


def _check_moment(instances: Sequence[Instance]) -> None:
    """All slices of a volume share what `MOMENT` names; a few may leave it out."""
    if len({instance.moment for instance in instances}) == 1:
        return
    for index, what in enumerate(MOMENT):
        usual, _ = Counter(instance.moment[index] for instance in instances).most_common(1)[0]
        others = [instance for instance in instances if instance.moment[index] != usual]
        silent = sum(not instance.moment[index] for instance in others)
        if len(others) > silent or silent > max(1, _SILENT * len(instances)):
            reason = f"{others[0].source.name} is of another {what} than the slices beside it"
            raise InputError("", "MULTI_VOLUME", reason)


def _check_equal(off: np.ndarray, tolerance: float, what: str, instances: Sequence[Instance]) -> None:
    """Raise MIXED_GRID for the image with the largest of the deviations `(n, ...)` if that is too large."""
    if off.max() > tolerance:
        name = instances[int(off.max(axis=1).argmax())].source.name
        raise InputError("", "MIXED_GRID", f"{name} {what} against the other slices")


def _sorted(instances: Sequence[Instance]) -> tuple[list[Instance], np.ndarray, np.ndarray]:
    """Instances and their positions `(n, 3)` from low to high along the slice normal, and the normal, LPS."""
    normal = np.cross(*_cosines(instances[0]))
    normal /= np.linalg.norm(normal)
    positions = np.array([instance.position for instance in instances])
    order = np.argsort(positions @ normal, kind="stable")
    return [instances[index] for index in order], positions[order], normal


def _check_places(instances: Sequence[Instance], heights: np.ndarray) -> None:
    """Every slice has a place of its own."""
    new = np.diff(heights, prepend=-np.inf) > _SAME_PLACE_MM
    counts = np.bincount(np.cumsum(new) - 1)
    if counts.size > 1 and counts.min() == counts.max() > 1:
        raise InputError("", "MULTI_VOLUME", f"the series holds {counts[0]} volumes, one over the other")
    if not new.all():
        index = int(np.flatnonzero(~new)[0])
        pair = f"{instances[index - 1].source.name} and {instances[index].source.name}"
        raise InputError("", "DUPLICATE_CONFLICT", f"two different slices lie in one place: {pair}")


def _check_tilt(instances: Sequence[Instance], positions: np.ndarray, normal: np.ndarray) -> bool:
    """Are the slices stacked askew to their normal, as under a tilted gantry?"""
    along = positions[-1] - positions[0]
    sideways = float(np.linalg.norm(along - (along @ normal) * normal) / np.linalg.norm(along))
    if sideways > _MAX_TILT:
        angle = np.degrees(np.arcsin(min(sideways, 1.0)))
        reason = f"the slices from {instances[0].source.name} on are stacked askew by {angle:.1f} degrees"
        raise InputError("", "VARIABLE_SPACING", reason)
    return sideways > _TILT


def affine_of(image: Instance, spacing: Sequence[float]) -> np.ndarray:
    """4 x 4 of one image, (column, row, slice) to RAS+ mm, its slice 1 mm thick.

    Args:
        image: where it does not say how it lies, columns run to the left and rows to the back.
        spacing: between rows and between columns, mm.

    Raises:
        InputError: NO_GEOMETRY where its directions are none; its path is empty.
    """
    if not (image.position and image.orientation):
        return np.asarray(_LPS_TO_RAS @ np.diag([spacing[1], spacing[0], 1.0, 1.0]))
    _check_cosines([image])
    row, column = _cosines(image)
    return _affine(replace(image, spacing=tuple(spacing)), np.cross(row, column))


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
