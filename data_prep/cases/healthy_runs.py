"""Healthy runs: the slices of a volume that may be learned from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.cases.inputs import list_items
from data_prep.cases.read import shape_at
from data_prep.cases.visit import file_of

SLICE_COUNT = "slice_count"
"""Key of a datalist entry: slices along the third axis of the file, so that its header need not be read for them."""
_LEVELS = 12


def list_runs(
    source: str | Path, section: str, *, shortest: int = 3, flat: bool | None = False
) -> list[dict[str, Any]]:
    """The items of a datalist's section, one for each healthy run.

    Args:
        source: datalist or its folder.
        section: "training" or "validation".
        shortest: runs of fewer slices are left out.
        flat: of `discover`: True in bundles of pictures.

    Returns:
        Items with `image`, `case` and `run`, `[start, stop)` along the third axis of the file; a volume without
        `healthy_slices` is healthy throughout and comes without `run`.
    """
    items = []
    for item in list_items(source, section, flat=flat):
        runs = item.pop("healthy_slices", None)
        if runs:
            items += [{**item, "run": list(run)} for run in runs if run[1] - run[0] >= shortest]
        else:
            items.append(item)
    return items


def level_weights(items: Sequence[dict[str, Any]]) -> list[float]:
    """Sampling weights that make every level of the body equally frequent.

    Near a lesion no slice is healthy, so the middle of the brain is rare among runs. A run weighs the sum, over
    its slices, of one over the density of their level (twelve levels from the first slice to the last).

    Args:
        items: of `list_runs`.

    Returns:
        One weight an item, summing to 1.
    """
    levels = []
    for item in items:
        slices = item.get(SLICE_COUNT) or _slices(file_of(item["image"]))
        start, stop = item.get("run", (0, slices))
        levels.append((np.arange(start, stop) + 0.5) / slices * _LEVELS)
    density = np.bincount(np.concatenate(levels).astype(int), minlength=_LEVELS) + 1.0
    weights = np.array([(1 / density[level.astype(int)]).sum() for level in levels])
    return list(weights / weights.sum())


def _slices(path: str) -> int:
    shape = shape_at(path)
    return shape[2] if shape else 1
