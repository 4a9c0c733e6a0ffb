"""The picture of a case: its most abnormal slices, outlined, over the healthy twin and the score map."""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from pipelines.report.slices import View, most_abnormal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image as PaletteImage

    from anomaly import Examination
    from data_prep import Volume

Array = np.ndarray
FOUND, TRUE = "#ffb000", "#35c8ff"  # told apart by colour-blind eyes, and one is dashed
_PAPER, _INK = "#0c0d0f", "#d8dce2"
_TILE = 1.95  # inches wide
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 0.26, 0.52, 0.24, 0.04, 0.04  # inches
_DPI = 110


def draw(volume: Volume, exam: Examination, *, truth: Array | None = None, most: int = 4) -> bytes:
    """Draw a case as a PNG.

    Args:
        volume: the image, `(i, j, k)`.
        exam: its examination, on the same grid.
        truth: the true mask, outlined as well where there is one.
        most: how many slices at most.
    """
    view = View.of(volume.array.shape, volume.affine)
    image, mask, score = (view.show(array) for array in (volume.array, exam.mask, exam.score))
    true = None if truth is None else view.show(truth)
    chosen = most_abnormal(mask if true is None else np.maximum(mask, true), score, thickness=view.thickness, most=most)
    rows, columns = _frame(image, mask if true is None else np.maximum(mask, true))

    def strip(shown: Array) -> Array:
        return np.concatenate([shown[rows, columns, index] for index in chosen], axis=1)

    figure, axes = _canvas(rows.stop - rows.start, columns.stop - columns.start, len(chosen), view, exam)
    low, high = np.percentile(image, (0.5, 99.7))
    window = {"cmap": "gray", "vmin": low, "vmax": max(high, low + 1e-6), "aspect": view.aspect}
    axes[0].imshow(strip(image), **window)
    _outline(axes[0], strip(mask), FOUND)
    if true is not None:
        _outline(axes[0], strip(true), TRUE, dashed=True)
    if exam.twin is not None:
        axes[1].imshow(strip(view.show(exam.twin)), **window)
    heat = axes[-1].imshow(strip(score), cmap="inferno", vmin=0, vmax=1, aspect=view.aspect)
    _scale(figure, axes[-1], heat, exam.finding.thresholds.voxel)
    _names(axes, view, chosen, columns.stop - columns.start, has_twin=exam.twin is not None)
    return _png(figure)


def _frame(image: Array, mask: Array) -> tuple[slice, slice]:
    """Rows and columns around what is not background, and around the mask."""
    low, high = np.percentile(image, (1, 99))
    body = (image > low + 0.1 * (high - low)) | (mask > 0)
    frame = []
    for other in (1, 0):
        share = body.any(axis=2).sum(axis=other)
        inside = np.flatnonzero(share > 0.02 * share.max()) if share.any() else np.arange(len(share))
        frame.append(slice(max(0, int(inside[0]) - 3), min(len(share), int(inside[-1]) + 4)))
    return frame[0], frame[1]


def _canvas(height: int, width: int, tiles: int, view: View, exam: Examination) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = 3 if exam.twin is not None else 2
    wide, tall = tiles * _TILE, _TILE * height * view.aspect / width
    size = (_LEFT + wide + _RIGHT, _TOP + count * tall + (count - 1) * _GAP + _BOTTOM)
    figure = Figure(figsize=size, dpi=_DPI, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = []
    for row in range(count):
        bottom = _BOTTOM + (count - 1 - row) * (tall + _GAP)
        axes.append(figure.add_axes((_LEFT / size[0], bottom / size[1], wide / size[0], tall / size[1])))
        axes[-1].set_axis_off()
    return figure, axes


def _outline(axes: Axes, mask: Array, colour: str, *, dashed: bool = False) -> None:
    if mask.any():
        style = "dashed" if dashed else "solid"
        axes.contour(mask > 0, levels=[0.5], colors=[colour], linewidths=1.2, linestyles=style)


def _names(axes: list[Axes], view: View, chosen: list[int], width: int, *, has_twin: bool) -> None:
    """Slice numbers above, sides in the corners of the first picture, what each row shows on the left."""
    words = ["image", "healthy twin", "score"] if has_twin else ["image", "score"]
    for axis, word in zip(axes, words, strict=True):
        axis.text(-0.008, 0.5, word, transform=axis.transAxes, color=_INK, size=8, rotation=90, ha="right", va="center")
    top = axes[0]
    for place, index in enumerate(chosen):
        name = f"{view.plane} {view.number(index)} of {view.count}"
        x = (place + 0.5) / len(chosen)
        top.text(x, 1.012, name, transform=top.transAxes, color=_INK, size=8, ha="center", va="bottom")
    left, right = view.edges
    for name, x, side in ((left, 0.02, "left"), (right, 0.98, "right")):
        top.text(x / len(chosen), 0.5, name, transform=top.transAxes, color=_INK, size=8, ha=side, va="center")


def _scale(figure: Figure, axes: Axes, heat: object, threshold: float) -> None:
    """A colour scale beside the score map, the voxel threshold marked."""
    box = axes.get_position()
    width, height = figure.get_size_inches()
    place = figure.add_axes((box.x1 + 0.07 / width, box.y0 + 0.08 / height, 0.09 / width, box.height - 0.16 / height))
    bar = figure.colorbar(heat, cax=place)  # type: ignore[arg-type]
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.set_ticks([0, threshold, 1], labels=["0", f"{threshold:.2f}", "1"])
    bar.ax.tick_params(colors=_INK, labelsize=7, length=2, pad=2)
    bar.ax.axhline(threshold, color=FOUND, linewidth=1.2)


def _png(figure: Figure) -> bytes:
    """The figure as a small PNG: with a palette of its own greys, score colours and outlines, not dithered."""
    from PIL import Image

    raw, small = io.BytesIO(), io.BytesIO()
    figure.savefig(raw, format="png", facecolor=_PAPER)
    picture = Image.open(raw).convert("RGB").quantize(palette=_palette(), dither=Image.Dither.NONE)
    picture.save(small, format="png", optimize=True)
    return small.getvalue()


@cache
def _palette() -> PaletteImage:
    """96 greys, 80 score colours, and each outline colour mixed with 40 greys."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb
    from PIL import Image

    grey = np.linspace(0, 1, 96)[:, None].repeat(3, axis=1)
    heat = colormaps["inferno"](np.linspace(0, 1, 80))[:, :3]
    share, under = (mesh.reshape(-1, 1) for mesh in np.meshgrid((0.25, 0.5, 0.75, 1.0), np.linspace(0, 1, 10)))
    mixed = [share * np.array(to_rgb(colour)) + (1 - share) * under for colour in (FOUND, TRUE)]
    colours = np.concatenate([grey, heat, *mixed])
    image = Image.new("P", (1, 1))
    image.putpalette(np.rint(255 * colours).astype(np.uint8).tobytes())
    return image
