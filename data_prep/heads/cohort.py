"""Healthy heads on disk: scans, and the recipes that they were made by."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.files import atomically
from data_prep.heads.head import synthesise
from data_prep.heads.head_map import HeadMap
from data_prep.heads.recipe import Recipe, draw_recipe

_UNITS = 400.0  # of the file, for brain; scanners give a few hundred


@dataclass(frozen=True, kw_only=True)
class HeadOrder:
    """What to make of every label map.

    Args:
        contrasts: names of `CONTRASTS`, one scan of each.
        copies: how often.
        stripped: part of the scans without skull.
        pixel: mm in-plane, smallest and largest.
        slices: mm from slice to slice, smallest and largest.
        seed: another one draws other scans.
    """

    contrasts: Sequence[str] = ("flair",)
    copies: int = 1
    stripped: float = 0.0
    pixel: tuple[float, float] = (0.9, 1.1)
    slices: tuple[float, float] = (3.0, 5.0)
    seed: int = 0


def write_scans(head: HeadMap, patient: str, folder: Path, order: HeadOrder) -> Iterator[dict[str, Any]]:
    """Write the scans of one head, each with its recipe.

    Args:
        head: its map.
        patient: name that the scans' names begin with.
        folder: gets `images/*.nii.gz` and `recipes/*.json`; both folders are there.
        order: what to make.

    Yields:
        The entry of each scan in a datalist, once it is written.
    """
    for contrast in order.contrasts:
        for copy in range(order.copies):
            name = f"{patient}-{contrast}-{copy + 1}"
            recipe = _recipe(head, order, name=name, contrast=contrast)
            yield _write(head, recipe, folder, name) | {"patient": patient, "contrast": contrast}


def _recipe(head: HeadMap, order: HeadOrder, *, name: str, contrast: str) -> Recipe:
    """Depends on the seed and the name alone, not on what else is made."""
    rng = np.random.default_rng([order.seed, zlib.crc32(name.encode())])
    return draw_recipe(
        rng, head, contrasts={contrast: 1.0}, pixel=order.pixel, slices=order.slices, stripped=order.stripped
    )


def _write(head: HeadMap, recipe: Recipe, folder: Path, name: str) -> dict[str, Any]:
    """One scan as int16 and its recipe; gives its entry in the datalist."""
    import nibabel as nib

    image = np.clip(np.round(synthesise(head, recipe).image * _UNITS), 0, 32767).astype(np.int16)
    affine = np.diag([*recipe.geometry.spacing, 1.0])
    affine[:3, 3] = -(np.array(image.shape) - 1) / 2 * recipe.geometry.spacing
    written = nib.Nifti1Image(image, affine)  # type: ignore[no-untyped-call]
    written.header.set_xyzt_units("mm")
    path = f"images/{name}.nii.gz"
    with atomically(folder / path) as partial:
        nib.save(written, partial)  # type: ignore[no-untyped-call]
    with atomically(folder / "recipes" / f"{name}.json") as partial:
        partial.write_text(json.dumps(recipe.as_json(), indent=1) + "\n", encoding="utf-8")
    return {"image": path, "stripped": recipe.stripping is not None}
