"""One series, several volumes: split by what makes one volume, and by nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np

from data_prep.dicom.instance import Instance

Group = list[Instance]
_TURN_COSINE = float(np.cos(np.radians(10.0)))  # slices turned further against each other belong to two volumes
_SAME_PLACE_MM = 0.01
_FEW_SLICES = 5  # of a plane of a three-plane localizer


def split_volumes(instances: Sequence[Instance]) -> list[Group]:
    """Group the images of one series, or the frames of one file, into volumes.

    By orientation; then by echo, time point, b-value and image type (`Instance.moment`), but only where these tell
    images apart that lie in one place: pieces that lie side by side stay together, for `stack` to judge. Where two
    images still share a place, also by AcquisitionNumber or TriggerTime, if that gives volumes that fill the same
    places. The order of the groups depends on what the images say, not on the names of their files.
    """
    groups = [
        part for turned in _by_orientation(instances) for moment in _by_moment(turned) for part in _by_pass(moment)
    ]
    return sorted(groups, key=_content_key)


def is_localizer(group: Group, others: Sequence[Group]) -> bool:
    """Is this a localizer: by its ImageType, or as the few slices in another direction than the series' volume?"""
    if any("LOCALIZER" in instance.image_type for instance in group):
        return True
    turned = [other for other in others if other is not group and not _parallel(group[0], other[0])]
    if not turned:
        return False
    return len(group) <= _FEW_SLICES or 4 * len(group) < max(map(len, turned))


def _by_orientation(instances: Sequence[Instance]) -> list[Group]:
    """Groups of nearly parallel images; those that say no orientation go with the first group."""
    groups: list[Group] = []
    unknown: Group = []
    for instance in instances:
        if len(instance.orientation) != 6:
            unknown.append(instance)
            continue
        group = next((group for group in groups if _parallel(group[0], instance)), None)
        if group is None:
            groups.append([instance])
        else:
            group.append(instance)
    if unknown:
        groups = [unknown + groups[0], *groups[1:]] if groups else [unknown]
    return groups


def _parallel(one: Instance, other: Instance) -> bool:
    """Do rows and columns point the same way, to within some degrees?"""
    if one.orientation == other.orientation or not (one.orientation and other.orientation):
        return True
    cosines = np.sum(np.multiply(one.orientation, other.orientation).reshape(2, 3), axis=1)
    return bool((cosines > _TURN_COSINE).all())


def _by_moment(group: Group) -> list[Group]:
    """Split into moments if each of them shares a place with another one."""
    parts = _grouped(group, lambda instance: instance.moment)
    seen = Counter(place for part in parts for place in set(_places(part)))
    if all(any(seen[place] > 1 for place in _places(part)) for part in parts):
        return parts
    return [group]


def _by_pass(group: Group) -> list[Group]:
    """Split where several images share a place and a header value tells complete volumes apart."""
    if len(set(_places(group))) == len(group):
        return [group]
    for index in range(len(group[0].pass_)):
        parts = _grouped(group, lambda instance, index=index: instance.pass_[index])  # type: ignore[misc]
        places = [sorted(_places(part)) for part in parts]
        if len(parts) > 1 and all(len(set(place)) == len(place) and place == places[0] for place in places):
            return parts
    return [group]


def _places(group: Iterable[Instance]) -> list[tuple[int, ...]]:
    return [tuple(round(value / _SAME_PLACE_MM) for value in instance.position) for instance in group]


def _grouped(group: Group, key: Callable[[Instance], Hashable]) -> list[Group]:
    parts: dict[Hashable, Group] = {}
    for instance in group:
        parts.setdefault(key(instance), []).append(instance)
    return list(parts.values())


def _content_key(group: Group) -> tuple[int, tuple[str, ...], tuple[str, ...], str]:
    """Largest volume first, then by what its first image says."""
    first = min(group, key=lambda instance: (instance.sop_uid, instance.frame or 0))
    return -len(group), first.moment, first.pass_, first.sop_uid
