"""A figure of an examination for a notebook: its most abnormal slices over twin and score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly.scoring.lesions import slice_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray
_TILE = 2.2  # inches
_FOUND = "#ffb000"


def plot_examination(exam: Any, *, slices: int = 4) -> Figure:
    """Image with M outlined, healthy twin where there is one, and score, of the slices with most abnormal score.

    Args:
        exam: an `anomaly.Examination` with its `image`.
        slices: how many columns at most.

    Raises:
        ValueError: the examination holds no image, as one that came from a file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if exam.image is None or exam.affine is None:
        msg = "this examination holds no image to draw"
        raise ValueError(msg)
    axis = slice_axis(exam.affine)
    shown = {"image": exam.image, **({} if exam.twin is None else {"healthy twin": exam.twin}), "score": exam.score}
    rows = {name: np.moveaxis(np.asarray(array, dtype=np.float32), axis, -1) for name, array in shown.items()}
    mask = np.moveaxis(exam.mask, axis, -1)
    found = (rows["score"] * (mask if mask.any() else 1)).sum(axis=(0, 1))
    chosen = sorted(np.argsort(-found, kind="stable")[:slices].tolist())
    spacing = np.delete(np.linalg.norm(exam.affine[:3, :3], axis=0), axis)
    low, high = exam.window or np.percentile(rows["image"], (0.5, 99.7)).tolist()
    figure = Figure(figsize=(_TILE * len(chosen), _TILE * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), len(chosen), squeeze=False)
    for places, (name, array) in zip(axes, rows.items(), strict=True):
        look: dict[str, Any] = {"cmap": "gray", "vmin": low, "vmax": max(high, low + 1e-6)}
        look = {"cmap": "inferno", "vmin": 0, "vmax": 1} if name == "score" else look
        for place, index in zip(places, chosen, strict=True):
            place.imshow(array[..., index].T, origin="lower", aspect=float(spacing[1] / spacing[0]), **look)
            if name == "image" and mask[..., index].any():
                place.contour(mask[..., index].T, levels=[0.5], colors=[_FOUND], linewidths=1.2)
            place.set(xticks=[], yticks=[])
            place.set_title(f"slice {index + 1}" if name == "image" else "", fontsize=8)
        places[0].set_ylabel(name, fontsize=8)
    finding = exam.finding
    figure.suptitle(f"{finding.case}: score {finding.score:.3f}, p {finding.p_value:.3f}", fontsize=9)
    return figure
