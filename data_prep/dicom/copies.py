"""Images that are there twice: equal in all that is used of them, they are one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from data_prep.dicom.header import NATIVE
from data_prep.dicom.instance import Instance
from data_prep.dicom.multiframe import read_frames
from data_prep.dicom.parts import places_of
from data_prep.dicom.planes import Group
from data_prep.errors import InputError


def same_image(one: Instance, other: Instance) -> bool:
    """Do two files say the same of one image, and hold the same pixels? What is compressed differently is not equal."""
    if one.syntax != other.syntax and not NATIVE.issuperset((one.syntax, other.syntax)):
        return False
    try:
        frames, others = _frames(one), _frames(other)
    except InputError:
        return False
    alike = [
        replace(frame, source=one.source, pixels=one.pixels, syntax=one.syntax, swapped=one.swapped) for frame in others
    ]
    return alike == frames and _same_pixels(frames, others)


def same_pixels(one: Instance, other: Instance) -> bool:
    """Are the values of two slices equal? Slices that cannot be read are not."""
    return _same_pixels([one], [other])


def _frames(image: Instance) -> list[Instance]:
    """The frames of a file, as its functional groups describe them where there are any."""
    if image.grouped:
        return read_frames(image)
    return [replace(image, frame=index) for index in range(image.frames)]


def _same_pixels(one: Sequence[Instance], other: Sequence[Instance]) -> bool:
    """Are the values of frames equal, each of one file?"""
    from data_prep.dicom.pixels import read_pixels

    if one[0].fault or other[0].fault or one[0].shape != other[0].shape:
        return False
    try:
        first, second = (read_pixels(frames, str(frames[0].source))[0] for frames in (one, other))
    except InputError:
        return False
    return bool(np.array_equal(first, second))


def without_copies(group: Group) -> Group | None:
    """A group without slices that are there twice with equal pixels; None where two slices of one place differ."""
    kept: list[Instance] = []
    for same_place in _by_place(group):
        if any(not same_pixels(same_place[0], other) for other in same_place[1:]):
            return None
        kept.append(min(same_place, key=lambda instance: (instance.sop_uid, instance.frame or 0)))
    return kept


def _by_place(group: Group) -> Iterable[list[Instance]]:
    places: dict[tuple[int, ...], list[Instance]] = {}
    for instance, place in zip(group, places_of(group), strict=True):
        places.setdefault(place, []).append(instance)
    return places.values()
