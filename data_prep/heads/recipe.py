"""`Recipe`: all that makes one scan out of one head, drawn from a seed, kept as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from data_prep.heads.acquisition import Acquisition, draw_acquisition
from data_prep.heads.contrast import Contrast, draw_contrast
from data_prep.heads.geometry import Geometry, draw_slab, draw_whole
from data_prep.heads.head_map import HeadMap


@dataclass(frozen=True, kw_only=True)
class Stripping:
    """How the skull was taken away.

    Args:
        fluid: part of the brightness of the fluid that is left around the brain; 0: the mask ends at the brain.
        cerebellum: is it left?
    """

    fluid: float = 1.0
    cerebellum: bool = True


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that makes one scan out of one head.

    Args:
        geometry: where the voxels lie.
        contrast: how bright the tissues are.
        acquisition: what the scanner does.
        stripping: None: the whole head.
        atrophy: are the sulci wide?
        seed: of the texture.
    """

    geometry: Geometry
    contrast: Contrast
    acquisition: Acquisition
    stripping: Stripping | None = None
    atrophy: bool = False
    seed: int = 0

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """What `as_json` gave, through JSON and back."""
        stripping = values.get("stripping")
        return cls(
            geometry=Geometry(**_tuples(values["geometry"])),
            contrast=Contrast(**_tuples(values["contrast"])),
            acquisition=Acquisition(**_tuples(values["acquisition"])),
            stripping=None if stripping is None else Stripping(**stripping),
            atrophy=bool(values["atrophy"]),
            seed=int(values["seed"]),
        )


def draw_recipe(
    rng: Generator,
    head: HeadMap,
    *,
    contrasts: Mapping[str, float],
    pixel: tuple[float, float] = (1.0, 2.0),
    slices: tuple[float, float] = (1.0, 6.0),
    stripped: float = 0.5,
    size: tuple[int, int, int] | None = None,
) -> Recipe:
    """Draw a scan of a head.

    Args:
        rng: source of randomness.
        head: its map.
        contrasts: names of `CONTRASTS`, and how often each is drawn.
        pixel: mm in-plane, smallest and largest.
        slices: mm from slice to slice, smallest and largest.
        stripped: part of the scans without skull.
        size: voxels of a slab somewhere in or below the brain; None: the whole head from its base to the vertex.
    """
    names = list(contrasts)
    odds = np.array([contrasts[name] for name in names], dtype=float)
    kind = str(rng.choice(names, p=odds / odds.sum()))
    if size is None:
        geometry = draw_whole(rng, head, pixel=pixel, slices=slices)
    else:
        geometry = draw_slab(rng, head, size=size, pixel=pixel, slices=slices)
    return Recipe(
        geometry=geometry,
        contrast=draw_contrast(rng, kind),
        acquisition=draw_acquisition(rng),
        stripping=draw_stripping(rng) if rng.random() < stripped else None,
        atrophy=bool(rng.random() < 0.25),
        seed=int(rng.integers(2**31)),
    )


def draw_stripping(rng: Generator) -> Stripping:
    """Tight or with fluid around the brain; one in five without cerebellum."""
    fluid = float(rng.choice([0.0, 1.0, rng.uniform(0.3, 1.0)]))
    return Stripping(fluid=fluid, cerebellum=bool(rng.random() > 0.2))


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that they were."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
