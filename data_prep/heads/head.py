"""The picture of a head that follows from its map of tissues and a recipe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_prep.heads.acquisition import acquire
from data_prep.heads.contrast import as_arrays
from data_prep.heads.fields import smooth_field
from data_prep.heads.geometry import SUBSLICES, places
from data_prep.heads.head_map import HeadMap
from data_prep.heads.recipe import Recipe, Stripping
from data_prep.heads.tissues import BRAIN, CEREBELLUM, INDEX, INSIDE, members

Array = np.ndarray
_BRAIN, _INSIDE, _CEREBELLUM = members(BRAIN), members(INSIDE), members(CEREBELLUM)
_FLUID = members(("fluid", "ventricle"))


@dataclass(frozen=True, kw_only=True, eq=False)
class SynthesisedHead:
    """A picture and what is in it, all `(i, j, k)`.

    Args:
        image: float32, the brain at about 1, air near 0.
        brain: part of each voxel that is brain, float32.
        white: part that is white matter, float32.
    """

    image: Array
    brain: Array
    white: Array


def synthesise(head: HeadMap, recipe: Recipe) -> SynthesisedHead:
    """Make the scan of a head that a recipe describes; the same recipe gives the same bytes.

    Args:
        head: its map of tissues.
        recipe: how.
    """
    tissues = head.atrophied.tissues if recipe.atrophy else head.tissues
    classes = _sample(tissues, places(recipe.geometry, middle=head.middle, voxel=head.spacing))
    kept = None if recipe.stripping is None else _kept(recipe.stripping)
    values = _values(classes, recipe, kept)
    left = None if kept is None else _across(kept[classes].astype(np.float32)) > 0.5
    image = acquire(np.clip(_across(values), 0, None), recipe.acquisition, head=left)
    brain = _across(_BRAIN[classes].astype(np.float32))
    white = _across((classes == INDEX["white"]).astype(np.float32))
    if left is not None:
        brain, white = brain * left, white * left
    return SynthesisedHead(image=image.astype(np.float32), brain=brain, white=white)


def _values(classes: Array, recipe: Recipe, kept: Array | None) -> Array:
    """The brightness of every sample, before any scanner."""
    mean, spread = as_arrays(recipe.contrast)
    if recipe.stripping is not None and kept is not None:
        mean, spread = mean * kept, spread * kept
        mean[INDEX["fluid"]] *= recipe.stripping.fluid
    rng = np.random.default_rng(recipe.seed)
    texture = rng.standard_normal(classes.shape, dtype=np.float32)
    texture += np.roll(texture, 1, 0) + np.roll(texture, 1, 1)
    uneven = smooth_field(recipe.seed, classes.shape, knots=(8, 8, 4))[0]
    values: Array = mean[classes] + spread[classes] * (0.9 * texture + uneven)
    if recipe.contrast.flow:
        flow = np.clip(smooth_field(recipe.seed + 1, classes.shape, knots=(6, 6, 4))[0] - 0.6, 0, 1)
        values += recipe.contrast.flow * flow * (_FLUID & (mean > 0))[classes]
    return values


def _sample(tissues: Array, where: Array) -> Array:
    """The class at each place, nearest neighbour; air outside."""
    flat = np.zeros(where.shape[1:], dtype=np.int32)
    outside = np.zeros(where.shape[1:], dtype=bool)
    for axis, size in enumerate(tissues.shape):
        index = (where[axis] + np.float32(0.5)).astype(np.int32)
        outside |= (index < 0) | (index >= size)
        np.clip(index, 0, size - 1, out=index)
        flat *= size
        flat += index
    classes = tissues.reshape(-1)[flat]
    classes[outside] = INDEX["air"]
    return classes


def _kept(stripping: Stripping) -> Array:
    """Which classes are left, `(len(TISSUES),)` bool."""
    kept = _INSIDE.copy()
    if not stripping.cerebellum:
        kept &= ~_CEREBELLUM
    if stripping.fluid == 0:
        kept[INDEX["fluid"]] = False
    return kept


def _across(values: Array) -> Array:
    """The mean over each slice's thickness, `(i, j, k)`."""
    return np.asarray(values.reshape(*values.shape[:2], -1, SUBSLICES).mean(axis=-1, dtype=np.float32))
