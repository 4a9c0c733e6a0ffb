"""`PlantAnomalyd`: a MONAI dictionary transform that plants anomalies and returns the true mask."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_numpy
from numpy.random import Generator
from scipy.ndimage import find_objects, gaussian_filter
from skimage.morphology import isotropic_closing, isotropic_dilation

from anomaly.synthesis.families import EITHER, FAMILIES, SHAPES
from anomaly.synthesis.shapes import OTHER_SLICE, Shape, render_shape, to_enclosed

Array = np.ndarray
_LEAST_CHANGE = 0.05  # mean change inside the mask, in units of normalised intensity; less is not visible
_TRIES = 8  # draws, until one of them changes something visibly
_EDGE = 0.35  # soft-mask value from which a voxel counts as abnormal
_SHOWS = 2 / 3  # of the channels, in which an anomaly is seen
_BLANK = 0.1  # normalised intensity that a channel which is there has somewhere
_SEEN = 0.03  # smoothed change from which it does; what nobody can see is no truth to learn


@dataclass(frozen=True, kw_only=True)
class Planting:
    """All that is needed to plant the same anomaly again.

    Args:
        family: its name in `FAMILIES`.
        shape: its outline before it meets the region.
        seed: of its texture.
        reach: gaps of the region up to twice this many voxels that it grows across.
        darker: part of the draws of its family that darken; None: the family's own.
        channels: in which it shows; None: in all.
        linked: does it look alike in all channels, as in several windows of one CT?
    """

    family: str
    shape: Shape
    seed: int
    reach: float = 0.0
    darker: float | None = None
    channels: tuple[int, ...] | None = None
    linked: bool = False


def draw_plantings(
    rng: Generator,
    region: Array,
    *,
    families: Sequence[str],
    radius: tuple[float, float],
    slice_ratio: tuple[float, float],
    most: int,
    reach: float,
    darker: float | None = None,
) -> list[Planting]:
    """Draw one to `most` anomalies with centres in `region`, `(*spatial)` bool."""
    names = [str(rng.choice(list(families))) for _ in range(rng.integers(1, most + 1))]
    return [
        Planting(
            family=name,
            shape=SHAPES[name](rng, region, radius=radius, slice_ratio=slice_ratio),
            seed=int(rng.integers(2**31)),
            reach=rng.uniform(0, reach),
            darker=darker,
        )
        for name in names
    ]


def plant(image: Array, plantings: Sequence[Planting], region: Array) -> tuple[Array, Array]:
    """Plant anomalies, one after the other.

    Args:
        image: `(*spatial)` in [0, 1], or `(C, *spatial)`: an anomaly then has one shape, and a strength of its own in
            each channel.
        plantings: what to plant; one that changes hardly anything is left out.
        region: `(*spatial)` bool, where anomalies may lie; see `room` for how far they reach beyond.

    Returns:
        The abnormal image and the true mask (0 or 1), `(*spatial)`, both float32. A voxel is true where the shape
        is and the change, smoothed a little, can be seen in any channel.
    """
    several = image.ndim > region.ndim
    channels = [channel.astype(np.float32) for channel in (image if several else image[None])]
    truth = np.zeros(region.shape, dtype=np.float32)
    away = to_enclosed(region) if any(planting.shape.depth for planting in plantings) else None
    for planting in plantings:
        soft = render_shape(planting.shape, region.shape)
        near = _around(soft, planting.reach)
        soft[near] *= room(region[near], planting.reach)
        if away is not None and planting.shape.depth:
            soft *= layer(away, planting.shape.depth)
        inside = soft > _EDGE
        if not inside.any():
            continue
        for number in planting.channels or range(len(channels)):
            changed, seen = _changed(channels[number], soft, planting, 0 if planting.linked else number)
            if seen is not None:
                channels[number], truth = changed, np.maximum(truth, seen)
    return np.stack(channels) if several else channels[0], truth


def _changed(image: Array, soft: Array, planting: Planting, draw: int) -> tuple[Array, Array | None]:
    """One channel `(*spatial)` with the anomaly, and where it is seen; None: it changes hardly anything."""
    own = planting.darker is None or planting.family not in EITHER
    rng = np.random.default_rng([planting.seed, draw] if draw else planting.seed)
    changed = FAMILIES[planting.family](image, soft, rng, **({} if own else {"darker": planting.darker}))
    changed = np.clip(changed, 0, 1).astype(np.float32)
    change = np.abs(changed - image)
    seen = (soft > _EDGE) & (gaussian_filter(change, _in_plane(1.5, image.ndim)) > _SEEN)
    visible = seen.any() and change[seen].mean() >= _LEAST_CHANGE
    return changed, seen if visible else None


def _channels(rng: Generator, present: Sequence[int], *, linked: bool) -> tuple[int, ...]:
    """In which of the channels an anomaly shows: in all of linked ones, else in some, each of two times in three."""
    if linked or len(present) == 1:
        return tuple(present)
    chosen = [number for number in present if rng.random() < _SHOWS]
    return tuple(chosen or [int(rng.choice(present))])


def _present(image: Array) -> list[int]:
    """The channels of `(C, *spatial)` that hold more than noise; the first where none does."""
    return [number for number, channel in enumerate(image) if np.quantile(channel, 0.999) > _BLANK] or [0]


def room(region: Array, reach: float) -> Array:
    """How far an anomaly takes hold of each voxel, `(*spatial)` float32 in [0, 1].

    An anomaly that ended at every natural edge would have hard rims and holes there, which a network can learn
    instead of anomalies. A lesion presses sulci shut and merges with its neighbour, so the region is closed over gaps,
    made a voxel wider, and its rim smoothed, all in-plane.

    Args:
        region: `(*spatial)` bool.
        reach: voxels; 0 gives the region as it is.
    """
    if reach <= 0 or not region.any() or region.all():
        return region.astype(np.float32)
    spacing = (1.0, 1.0, OTHER_SLICE)[: region.ndim]
    closed = region | isotropic_closing(region, reach, spacing=spacing)
    if closed.all():
        return closed.astype(np.float32)
    edge = min(1.0, reach)
    wider = isotropic_dilation(closed, edge, spacing=spacing).astype(np.float32)
    return gaussian_filter(wider, _in_plane(edge, region.ndim), truncate=2.0)


def _around(soft: Array, reach: float) -> tuple[slice, ...]:
    """The box of a shape, so much wider that closing gaps of `reach` voxels gives inside what it gives in the whole."""
    if not (soft > 0).any():
        return tuple(slice(0, 0) for _ in soft.shape)
    margin = int(2 * reach) + 6
    box = find_objects((soft > 0).astype(np.uint8))[0]
    widths = (margin, margin, 0)[: soft.ndim]
    return tuple(slice(max(0, part.start - width), part.stop + width) for part, width in zip(box, widths, strict=True))


def layer(away: Array, depth: float) -> Array:
    """How far each voxel is in the layer along what a region encloses, `(*spatial)` float32 in [0, 1], soft-rimmed.

    Args:
        away: how far each voxel is from what the region encloses, `(*spatial)`; see `to_enclosed`.
        depth: of the layer in voxels.
    """
    inside = np.clip(depth + 0.5 - away, 0, 1).astype(np.float32)
    return gaussian_filter(inside, _in_plane(0.7, away.ndim), truncate=2.0)


def _in_plane(sigma: float, dims: int) -> tuple[float, ...]:
    return (sigma, sigma, 0.0)[:dims]


class PlantAnomalyd(RandomizableTransform, MapTransform):
    """Plant anomalies in a healthy image.

    Reads `image` `(C, *spatial)` in [0, 1] and writes the abnormal image in its place, the untouched image under
    `healthy` and the true mask under `mask`, `(1, *spatial)`. The plantings themselves stand under `plantings` (a
    list of `Planting`) when `keep_plantings` is set: `plant` replays them.

    Args:
        keys: the image's key.
        region_key: key of a mask `(1, *spatial)`, non-zero where anomalies may lie; None allows everywhere.
        families: names out of `anomaly.synthesis.FAMILIES`; None takes all.
        prob: part of the images that get anomalies; the others come back healthy, with an empty mask.
        radius: in-plane semi-axes in voxels, smallest and largest.
        slice_ratio: semi-axis along the slices over the in-plane one, smallest and largest.
        most: most anomalies in one image.
        reach: most voxels over which an anomaly closes the region's gaps; drawn from 0 on. 0: nothing changes
            outside the region.
        darker: part of the anomalies of `shift`, `plateau` and `scattered` that are darker than their surroundings;
            None: a quarter, and a fifth of `scattered`.
        seed_keys: when given, the draw depends on these values of the item alone, so that a validation item gets
            the same anomalies in every epoch.
        drop: part of the images of several channels that lose one or more of them, but for one.
        linked: channels are windows of one scan, and an anomaly looks alike in all.
        keep_plantings: also return the plantings.

    Raises:
        ValueError: an unknown family.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        *,
        region_key: str | None = None,
        families: Sequence[str] | None = None,
        prob: float = 0.8,
        radius: tuple[float, float] = (3.0, 20.0),
        slice_ratio: tuple[float, float] = (0.15, 1.0),
        most: int = 2,
        reach: float = 4.0,
        darker: float | None = None,
        seed_keys: Sequence[str] | None = None,
        drop: float = 0.0,
        linked: bool = False,
        keep_plantings: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.families = tuple(families or FAMILIES)
        if unknown := set(self.families) - set(FAMILIES):
            msg = f"unknown anomaly families {sorted(unknown)}; there are {list(FAMILIES)}"
            raise ValueError(msg)
        self.region_key = region_key
        self.draw: dict[str, Any] = {
            "families": self.families,
            "radius": tuple(radius),
            "slice_ratio": tuple(slice_ratio),
            "most": most,
            "reach": reach,
            "darker": darker,
        }
        self.drop, self.linked = drop, linked
        self.seed_keys = seed_keys
        self.keep_plantings = keep_plantings

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Plant in the image of the first key."""
        item = dict(data)
        key = self.keys[0]
        image = convert_to_numpy(item[key])
        region = np.ones(image.shape[1:], dtype=bool)
        if self.region_key is not None:
            region = convert_to_numpy(item[self.region_key])[0] > 0
        rng = np.random.default_rng(self._seed(item))
        present = self._kept(rng, _present(image)) if len(image) > 1 else [0]
        whole, image = image, self._without(image, present)
        plantings: list[Planting] = []
        abnormal, truth = image, np.zeros(region.shape, dtype=np.float32)
        if rng.random() < self.prob and region.any():
            for _ in range(_TRIES):
                plantings = draw_plantings(rng, region, **self.draw)
                if len(image) > 1:
                    chosen = [_channels(rng, present, linked=self.linked) for _ in plantings]
                    plantings = [
                        replace(one, channels=channels, linked=self.linked)
                        for one, channels in zip(plantings, chosen, strict=True)
                    ]
                abnormal, truth = plant(image, plantings, region)
                if truth.any():
                    break
        item["healthy"] = item[key] if image is whole else torch.as_tensor(image)
        item["mask"] = torch.as_tensor(truth)[None]
        item[key] = torch.as_tensor(abnormal)
        if self.keep_plantings:
            item["plantings"] = plantings
        return item

    def _kept(self, rng: Generator, present: list[int]) -> list[int]:
        """The channels that stay: at times one or more are taken away, as a sequence that was not made."""
        if len(present) < 2 or rng.random() >= self.drop:
            return present
        count = int(rng.integers(1, len(present)))
        return sorted(int(number) for number in rng.choice(present, count, replace=False))

    @staticmethod
    def _without(image: Array, present: Sequence[int]) -> Array:
        """`(C, *spatial)`, 0 in the channels that are not there."""
        if len(present) == len(image):
            return image
        kept = np.zeros_like(image)
        kept[list(present)] = image[list(present)]
        return kept

    def _seed(self, item: Mapping[Hashable, Any]) -> int:
        if self.seed_keys is None:
            return int(self.R.randint(2**31))
        return zlib.crc32(repr([item.get(key) for key in self.seed_keys]).encode())
