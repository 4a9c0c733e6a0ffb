"""One series, several volumes: split by what makes one volume, and by nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import chain

from data_prep.dicom.details import with_passes
from data_prep.dicom.instance import MOMENT, Instance
from data_prep.dicom.planes import Group, by_plane

Key = Callable[[Instance], Hashable]
_SAME_PLACE_MM = 0.01
_SHARED = 0.5  # of a part's places that it must share with another part, for both to be volumes


def split_volumes(instances: Sequence[Instance]) -> list[Group]:
    """Group the images of one series, and the frames of all its files, into volumes.

    By direction, then by StackID. Then by grid and by each value of `MOMENT` and the image type, but only where
    these tell images apart that lie in one place: pieces that lie side by side stay together, for `stack` to judge.
    Where two images still share a place, also by acquisition, time, dimension index, or file, if that gives volumes
    that fill the same places. What the names of the files are makes no difference.
    """
    groups = list(chain.from_iterable(map(_by_stack, by_plane(instances))))
    alike = len({(_grid(one), one.moment, one.image_type) for one in instances}) == 1
    for key in [] if alike else keys_of_a_volume():
        groups = list(chain.from_iterable(_split(group, key) for group in groups))
    return list(chain.from_iterable(map(_by_pass, groups)))


def keys_of_a_volume() -> list[Key]:
    """What tells images apart that cannot be slices of one volume, and the image type."""
    keys: list[Key] = [_grid]
    keys += [lambda instance, index=index: instance.moment[index] for index in range(len(MOMENT))]  # type: ignore[misc]
    return [*keys, lambda instance: instance.image_type]


def pass_key(index: int) -> Key:
    """The key of one value of `Instance.pass_`, which need not have as many in all images."""
    return lambda instance: instance.pass_[index] if index < len(instance.pass_) else ""


def places_of(group: Iterable[Instance]) -> list[tuple[int, ...]]:
    """Where images lie, to the hundredth of a millimetre."""
    return [tuple(round(value / _SAME_PLACE_MM) for value in instance.position) for instance in group]


def grouped(group: Group, key: Key) -> list[Group]:
    """The parts of a group, one for each value of a key."""
    parts: dict[Hashable, Group] = {}
    for instance in group:
        parts.setdefault(key(instance), []).append(instance)
    return list(parts.values())


def content_key(group: Group) -> tuple[int, str, tuple[str, ...], tuple[str, ...], str]:
    """Largest volume first, magnitude before the rest, then by what its first image says."""
    first = min(group, key=lambda instance: (instance.sop_uid, instance.frame or 0))
    component = first.moment[0]
    return -len(group), "" if component == "M" else component, first.moment, first.pass_, first.sop_uid


def _grid(instance: Instance) -> Hashable:
    rounded = tuple(round(length, 3) for length in instance.spacing)
    return instance.shape, rounded, instance.reference_frame, instance.inverted


def _by_stack(group: Group) -> list[Group]:
    """The stacks of frames that a file declares (PS3.3 C.7.6.16.2.2.4), where each is more than a slice."""
    if len({instance.stack_id for instance in group}) == 1:
        return [group]
    parts = grouped(group, lambda instance: instance.stack_id)
    return parts if all(len(set(places_of(part))) > 1 for part in parts) else [group]


def _split(group: Group, key: Key) -> list[Group]:
    """The parts of a group, if each of them shares most of its places with others."""
    if len({key(instance) for instance in group}) == 1:
        return [group]
    parts = grouped(group, key)
    places = [set(places_of(part)) for part in parts]
    seen = Counter(chain.from_iterable(places))
    if all(sum(seen[place] > 1 for place in part) >= _SHARED * len(part) for part in places):
        return parts
    return [group]


def _by_pass(group: Group) -> list[Group]:
    """Split where several images share a place and a header value tells complete volumes apart."""
    if len(set(places_of(group))) == len(group):
        return [group]
    group = list(map(with_passes, group))
    for index in range(max(len(instance.pass_) for instance in group)):
        parts = grouped(group, pass_key(index))
        places = [sorted(places_of(part)) for part in parts]
        if len(parts) > 1 and all(len(set(place)) == len(place) and place == places[0] for place in places):
            return parts
    return [group]
