"""Do positions lie on a regular grid, as far as they can given that headers round them?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.dicom.details import thickness
from data_prep.dicom.instance import Instance
from data_prep.errors import InputError

_ROUNDED_MM = 0.05  # positions rounded to 0.1 mm, as many scanners write them, are off by half of that
_RELATIVE = 0.01  # of the distance between slices: what highdicom allows
_MOST = 0.16  # of the distance; a lost slice of a few puts another one off by a sixth at the least
_STEPS = (1.0, 0.5, 0.2, 0.1)  # mm, to which positions may be rounded
_COARSE_MOST = 0.34  # of the distance, for positions in coarser steps
_EXACT_MM = 2e-3  # positions with three digits
_MOSTLY = 0.6  # of the positions
_AT_EDGE = 0.98  # of what rounding explains
_MANY = 8  # distances, of which some are long and some short
_EDGE = 1e-4  # mm; what is rounded just at the half lies on either side


def grid_places(
    instances: Sequence[Instance], positions: np.ndarray, normal: np.ndarray, *, allow_gaps: bool
) -> tuple[int, ...]:
    """Each slice's index in a grid of equal distances.

    The bound is on how far each position lies from the best regular grid, not on single distances: 0.625 mm rounded
    to 0.1 mm gives distances of 0.6 and 0.7 mm, but no position is off by more than 0.05 mm.

    Args:
        instances: sorted along the normal.
        positions: of these, `(n, 3)`, mm.
        normal: of the slices.
        allow_gaps: let whole slices be missing.

    Raises:
        InputError: VARIABLE_SPACING or MISSING_SLICES; its path is empty.
    """
    count = len(instances)
    gaps = np.diff(positions @ normal)
    if _regular(instances, np.arange(count), positions, float(gaps.mean())):
        return tuple(range(count))
    usual = float(np.sort(gaps)[(count - 2) // 2])
    _check_straight(instances, positions, float(np.abs(gaps - usual).max()))
    at = int((np.abs(gaps - usual) > min(2 * _ROUNDED_MM, 0.1 * usual)).argmax())
    between = f"between {instances[at].source.name} and {instances[at + 1].source.name}"
    usual = float(gaps[gaps < 1.6 * usual].mean())
    steps = np.maximum(np.rint(gaps / usual), 1)
    places = np.concatenate([[0], np.cumsum(steps)]).astype(int)
    lost = int(places[-1]) + 1 - count
    distance = float(gaps.sum() / steps.sum())
    if not lost or not _regular(instances, places, positions, distance):
        reason = f"the distance between slices varies from {gaps.min():.2f} to {gaps.max():.2f} mm, first {between}"
        raise InputError("", "VARIABLE_SPACING", reason)
    if not allow_gaps:
        at = int((steps > 1).argmax())
        between = f"between {instances[at].source.name} and {instances[at + 1].source.name}"
        reason = f"{lost} slice{'s are' if lost > 1 else ' is'} missing, the first {between}: {gaps[at]:.2f} mm apart"
        raise InputError("", "MISSING_SLICES", reason)
    return tuple(int(index) for index in places)


def _check_straight(instances: Sequence[Instance], positions: np.ndarray, uneven: float) -> None:
    """Raise where slices lie off their line by more than their distances differ, `uneven` mm."""
    along = positions[-1] - positions[0]
    line = positions[0] + np.outer((positions - positions[0]) @ along / (along @ along), along)
    off = np.linalg.norm(positions - line, axis=1)
    if off.max() > max(uneven, 2 * _ROUNDED_MM):
        name = instances[int(off.argmax())].source.name
        raise InputError("", "VARIABLE_SPACING", f"{name} is shifted sideways by {off.max():.2f} mm")


def _regular(instances: Sequence[Instance], places: np.ndarray, positions: np.ndarray, distance: float) -> bool:
    """Does no coordinate of a position lie further off the best regular grid than rounding explains?

    Where most positions lie on a grid exactly, and only a grid at the very edge of what rounding explains takes the
    others in, these were not rounded but moved.
    """
    fine = min(max(_ROUNDED_MM + _EDGE, _RELATIVE * distance), _MOST * distance)
    usual = [_from_usual_line(places, axis) for axis in positions.T]
    if max(off.max() for off in usual) <= fine:
        return True
    most = max(fine, _coarse(instances, places, positions, distance))
    for axis, off in zip(positions.T, usual, strict=True):
        best = _from_best_line(places, axis, distance)
        moved = off.max() > fine and np.mean(off < _EXACT_MM) > _MOSTLY
        if best > (_AT_EDGE if moved else 1.0) * most:
            return False
    return True


def _from_usual_line(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How far values lie from the straight line of the usual, median, slope."""
    slope = np.median(np.diff(values) / np.diff(places))
    off = values - slope * places
    return np.asarray(np.abs(off - np.median(off)))


def _from_best_line(places: np.ndarray, values: np.ndarray, distance: float) -> float:
    """How far values lie from the straight line whose largest deviation is the smallest, by golden section."""
    slope = float(np.polyfit(places, values, 1)[0])

    def width(slope: float) -> float:
        return float(np.ptp(values - slope * places))

    if width(slope) < 2 * _EDGE:
        return width(slope) / 2
    low, high = slope - distance, slope + distance
    golden = (5**0.5 - 1) / 2
    for _ in range(60):
        third = golden * (high - low)
        low, high = (low, low + third) if width(high - third) < width(low + third) else (high - third, high)
    return width((low + high) / 2) / 2


def _coarse(instances: Sequence[Instance], places: np.ndarray, positions: np.ndarray, distance: float) -> float:
    """Millimetres by which positions may be off that are rounded to steps; 0 where they need not have been.

    Either a header states the distance, or there are many slices and long and short distances take turns.
    """
    step = next((step for step in _STEPS if _in_steps(positions, step)), 0.0)
    if not step:
        return 0.0
    gaps = np.linalg.norm(np.diff(positions, axis=0), axis=1) / np.diff(places)
    turns = len(gaps) >= _MANY and np.ptp(gaps) < step * 1.01 and 0.25 <= np.mean(gaps > distance) <= 0.75
    if turns or any(_agrees(mm, distance, step, len(instances)) for mm in thickness(instances[0])):
        return min(step / 2 + _EDGE, _COARSE_MOST * distance)
    return 0.0


def _in_steps(positions: np.ndarray, step: float) -> bool:
    """Are all positions, against the first, multiples of a step?"""
    steps = (positions - positions[0]) / step
    return bool(np.abs(steps - np.rint(steps)).max() < 1e-3)


def _agrees(stated: float, distance: float, step: float, count: int) -> bool:
    """Is a distance that a header states the measured one, up to what the rounding of both ends explains?"""
    return abs(stated - distance) <= max(0.02 * stated, step / (count - 1))
