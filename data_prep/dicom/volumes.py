"""`volumes_of`: the images of a series to volumes, each a regular grid or with what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from data_prep.dicom.copies import without_copies
from data_prep.dicom.details import with_passes
from data_prep.dicom.geometry import Stack, stack
from data_prep.dicom.instance import Instance
from data_prep.dicom.parts import Key, content_key, grouped, keys_of_a_volume, pass_key, places_of, split_volumes
from data_prep.dicom.picture import PICTURE_MODALITIES, picture_of
from data_prep.dicom.planes import Group, is_localizer, parallel
from data_prep.errors import InputError

_MENDABLE = frozenset({"DUPLICATE_CONFLICT", "MULTI_VOLUME", "VARIABLE_SPACING", "MIXED_GRID", "MISSING_SLICES"})
_VOLUME = 3  # slices beside which a single image is set aside
_FEW = 5  # turned slices at most that are looked for at the ends of a volume
_SLOT = 0.25  # of the distance between slices, within which an image lies in a grid's place


@dataclass(frozen=True)
class Part:
    """Images that belong together.

    Args:
        group: the images.
        grid: their grid, where they fill one.
        why: what is wrong where they do not; its path is empty.
    """

    group: Group
    grid: Stack | None = None
    why: InputError | None = None

    @property
    def set_aside(self) -> bool:
        """Is it a single image or a localizer, beside the volumes of a series?"""
        return self.why is not None and self.why.code in ("SINGLE_SLICE", "LOCALIZER")


def volumes_of(instances: Sequence[Instance], *, allow_gaps: bool = False, flat: bool | None = False) -> list[Part]:
    """The volumes of a series and what was set aside, volumes first.

    Args:
        instances: all images of a series, and all frames of its multi-frame files.
        allow_gaps: as for `stack`.
        flat: None: images of `PICTURE_MODALITIES` are pictures, each for itself; True: so is a single image of another
            modality, where its series holds no volume; False: there are no pictures.
    """
    if flat is not False and all(image.modality in PICTURE_MODALITIES for image in instances):
        return [_picture([image]) for image in instances]
    groups = split_volumes(instances)
    parts = list(chain.from_iterable(_settle(group, groups, allow_gaps=allow_gaps) for group in groups))
    parts = [_flagged(_whole(part, parts), parts) for part in parts]
    if flat and not any(part.grid for part in parts):
        single = {id(part) for part in parts if part.why and part.why.code == "SINGLE_SLICE" and len(part.group) == 1}
        parts = [_picture(part.group) if id(part) in single else part for part in parts]
    return sorted(parts, key=lambda part: (part.set_aside, content_key(part.group)))


def _picture(group: Group) -> Part:
    try:
        return Part(group, grid=picture_of(group[0]))
    except InputError as error:
        return Part(group, why=InputError("", error.code, error.reason))


def _settle(group: Group, groups: Sequence[Group], *, allow_gaps: bool) -> list[Part]:
    """One group as a volume; where that fails, as a volume and images beside it that are none of its slices."""
    if is_localizer(group, groups):
        return [Part(group, why=InputError("", "LOCALIZER", f"{group[0].source.name} belongs to a localizer"))]
    tried = _attempt(group, allow_gaps=allow_gaps)
    if tried.why is None or tried.why.code not in _MENDABLE or any(instance.fault for instance in group):
        return [tried]
    if any(not (instance.position and instance.orientation and instance.spacing) for instance in group):
        return [tried]
    if len(set(places_of(group))) < len(group) and (single := without_copies(group)):
        tried = _attempt(single, allow_gaps=allow_gaps)
        group = single
    if tried.grid is None:
        for kept, aside in _singles_aside(group, tried.why):
            volume = _attempt(kept, allow_gaps=allow_gaps)
            if volume.grid is not None and not any(_in_slot(image, volume.grid) for image in chain(*aside)):
                return [volume, *(_attempt(part, allow_gaps=False) for part in aside)]
    return [tried]


def _attempt(group: Group, *, allow_gaps: bool) -> Part:
    try:
        return Part(group, grid=stack(group, "", allow_gaps=allow_gaps))
    except InputError as error:
        return Part(group, why=error)


def _singles_aside(group: Group, why: InputError | None) -> Iterator[tuple[Group, list[Group]]]:
    """A group as most of its images, and images of one place each that a header value tells from these.

    Where slices are missing in between, only the acquisition counts: a lone slice may be what is left of many.
    """
    group = list(map(with_passes, group))
    passes = [pass_key(index) for index in range(max(len(instance.pass_) for instance in group))]
    keys: list[Key] = [*passes[:1], *keys_of_a_volume(), *passes[1:]]
    for key in keys[:1] if why is not None and why.code == "MISSING_SLICES" else keys:
        parts = sorted(grouped(group, key), key=lambda part: -len(part))
        places = [len(set(places_of(part))) for part in parts]
        if len(parts) > 1 and places[0] >= _VOLUME and max(places[1:]) == 1 and 2 * len(parts[0]) > len(group):
            yield parts[0], parts[1:]


def _in_slot(image: Instance, grid: Stack) -> bool:
    """Does an image lie, by its first pixel or its centre, where a slice before the first or after the last would?"""
    first = grid.instances[0]
    for pixel in ((0.0, 0.0), (first.shape[0] / 2, first.shape[1] / 2)):
        place = np.linalg.inv(grid.affine) @ [*(_place(image, *pixel) * (-1, -1, 1)), 1]
        off = abs(place[:2] - pixel[::-1])
        if (off < np.maximum(1.0, 0.05 * np.array(first.shape[::-1]))).all() and (
            min(abs(place[2] + 1), abs(place[2] - grid.shape[2])) < _SLOT
        ):
            return True
    return False


def _place(image: Instance, row: float, column: float) -> np.ndarray:
    """Where a pixel lies, LPS mm (PS3.3 C.7.6.2.1.1)."""
    along_row, along_column = np.array(image.orientation).reshape(2, 3)
    down, across = image.spacing
    return np.asarray(image.position + along_row * across * column + along_column * down * row)


def _flagged(part: Part, parts: Sequence[Part]) -> Part:
    """A volume that has lost a slice at an end gets a flag.

    So it has where the images of another part lie in the place of the next slice, or where no frame of its stack, in
    any volume, is the first (InStackPositionNumber).
    """
    if part.grid is None:
        return part
    few = [other.group for other in parts if other is not part and len(other.group) <= _FEW]
    turned = [image for group in few for image in group if _beside(image, part.grid)]
    if not (any(_in_slot(image, part.grid) for image in turned) or _headless(part.group, parts)):
        return part
    return replace(part, grid=replace(part.grid, flags=(*part.grid.flags, "end_slice_lost")))


def _headless(group: Group, parts: Sequence[Part]) -> bool:
    if group[0].in_stack <= 1:
        return False
    stack_id = group[0].stack_id
    return all(image.in_stack > 1 for part in parts for image in part.group if image.stack_id == stack_id)


def _beside(image: Instance, grid: Stack) -> bool:
    """An image of a grid's size, in another direction."""
    first = grid.instances[0]
    placed = image.position and image.orientation and image.spacing
    return bool(placed) and image.shape == first.shape and not parallel(image, first)


def _whole(part: Part, parts: Sequence[Part]) -> Part:
    """Refuse a volume whose slices are but some of those of another volume of the series: its end was lost."""
    if part.grid is None:
        return part
    first, places = part.group[0], set(places_of(part.group))
    for other in parts:
        alike = other.grid is not None and len(other.group) > len(part.group) and parallel(first, other.group[0])
        alike = alike and (first.shape, first.image_type[:1]) == (other.group[0].shape, other.group[0].image_type[:1])
        if alike and places < set(places_of(other.group)):
            reason = f"the volume of {first.source.name} has {len(places)} slices where another one has "
            why = InputError("", "MISSING_SLICES", f"{reason}{len(other.group)} at the same places")
            return Part(part.group, why=why)
    return part
