"""The planes of a series: images of one direction together, and localizers told from volumes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.dicom.instance import Instance

Group = list[Instance]
LOCALIZER_WORDS = frozenset({"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW"})
_TURN_COSINE = float(np.cos(np.radians(10.0)))  # slices turned further against each other belong to two volumes
_SAME_COSINES = 2e-3  # cosines of one direction, where headers round them to three digits
_PERPENDICULAR = 0.03  # cosine between normals; a localizer's planes are at right angles to the degree
_VOLUME = 3  # slices that make a direction of its own; fewer may be slices that a fault has turned
_FEW_SLICES = 5  # at most in a plane of a three-plane localizer


def by_plane(instances: Sequence[Instance]) -> list[Group]:
    """Groups of parallel images; those that say no orientation go with the first group.

    Several slabs that are turned against each other, be it by a few degrees, are a group each. One or two images
    turned by less than 10 degrees against others stay with these, for `stack` to refuse.
    """
    unknown = [instance for instance in instances if len(instance.orientation) != 6]
    groups = _same_direction([instance for instance in instances if len(instance.orientation) == 6])
    groups.sort(key=lambda group: (-len(group), group[0].orientation))
    planes: list[Group] = []
    for group in groups:
        near = None if len(group) >= _VOLUME else next((one for one in planes if _near(one[0], group[0])), None)
        if near is None:
            planes.append(group)
        else:
            near += group
    if unknown:
        planes = [unknown + planes[0], *planes[1:]] if planes else [unknown]
    return planes


def is_localizer(group: Group, groups: Sequence[Group]) -> bool:
    """Is this a localizer: by its image type, or as the few slices of one of several planes at right angles?

    Reformats (DERIVED) of a volume are none. A plane of a few slices is one beside a plane with as many slices
    at least, or beside two other planes that are at right angles too.
    """
    if all(LOCALIZER_WORDS.intersection(instance.image_type) for instance in group):
        return True
    if len(group) > _FEW_SLICES or "DERIVED" in group[0].image_type:
        return False
    crossing = [other for other in groups if _perpendicular(group[0], other[0])]
    three = any(_perpendicular(one[0], other[0]) for one in crossing for other in crossing)
    return three or any(len(other) >= len(group) for other in crossing)


def parallel(one: Instance, other: Instance) -> bool:
    """Do rows and columns point the same way?"""
    if not (one.orientation and other.orientation):
        return True
    return bool(np.abs(np.subtract(one.orientation, other.orientation)).max() <= _SAME_COSINES)


def _same_direction(instances: Sequence[Instance]) -> list[Group]:
    """Groups by orientation, equal up to rounding."""
    exact: dict[tuple[float, ...], Group] = {}
    for instance in instances:
        exact.setdefault(instance.orientation, []).append(instance)
    if len(exact) < 2:
        return list(exact.values())
    leaders, groups = np.empty((0, 6)), list[Group]()
    for group in sorted(exact.values(), key=lambda group: (-len(group), group[0].orientation)):
        off = np.abs(leaders - group[0].orientation).max(axis=1, initial=0.0)
        if off.size and off.min() <= _SAME_COSINES:
            groups[int(off.argmin())] += group
        else:
            leaders = np.vstack([leaders, group[0].orientation])
            groups.append(list(group))
    return groups


def _near(one: Instance, other: Instance) -> bool:
    """Do rows and columns point the same way, to within some degrees?"""
    cosines = np.sum(np.multiply(one.orientation, other.orientation).reshape(2, 3), axis=1)
    return bool((cosines > _TURN_COSINE).all())


def _perpendicular(one: Instance, other: Instance) -> bool:
    """Are two images' normals at right angles?"""
    if not (one.orientation and other.orientation):
        return False
    normals = [np.cross(instance.orientation[:3], instance.orientation[3:]) for instance in (one, other)]
    return bool(abs(normals[0] @ normals[1]) < _PERPENDICULAR)
