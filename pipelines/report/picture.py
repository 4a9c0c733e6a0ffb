"""The picture of a case: its most abnormal slices, outlined, over the healthy twin and the score map."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.report.slices import View, most_abnormal, numbered

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image as PaletteImage

    from anomaly import Examination
    from data_prep import Volume

Array = np.ndarray
FOUND, TRUE = "#ffb000", "#35c8ff"  # told apart by colour-blind eyes, and one is dashed
_PAPER, _INK, _HALO = "#0c0d0f", "#d8dce2", "#000000"  # an outline has a dark halo: it stands out on white, too
_TILE = 240  # pixels of a slice's longer side at the least; a slice has no fewer than its own matrix
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 30, 60, 28, 6, 6  # pixels, of a tile that is 240 wide
_DPI = 100
_MOST = 8000  # pixels of a picture's longer side
_NUMBERED = 9  # regions that carry their number


def draw(volume: Volume, exam: Examination, *, truth: Array | None = None, most: int = 4) -> bytes:
    """Draw a case as a PNG.

    Args:
        volume: the image, `(i, j, k)`.
        exam: its examination, on the same grid.
        truth: the true mask, outlined as well where there is one.
        most: how many slices at most.
    """
    view = View.of(volume.array.shape, volume.affine, volume.flags)
    image, mask, score = (view.show(array) for array in (volume.array, exam.mask, exam.score))
    true = None if truth is None else view.show(truth)
    chosen = most_abnormal(mask if true is None else np.maximum(mask, true), score, thickness=view.thickness, most=most)
    rows, columns = _frame(image, mask if true is None else np.maximum(mask, true))

    def strip(shown: Array) -> Array:
        return np.concatenate([shown[rows, columns, index] for index in chosen], axis=1)

    figure, axes, zoom = _canvas(rows.stop - rows.start, columns.stop - columns.start, len(chosen), view, exam)
    low, high = exam.window or np.percentile(image, (0.5, 99.7)).tolist()
    window: dict[str, Any] = {"cmap": "gray", "vmin": low, "vmax": max(high, low + 1e-6), "aspect": view.aspect}
    axes[0].imshow(strip(image), **window)
    outlines = [(strip(mask), FOUND, "solid"), *([] if true is None else [(strip(true), TRUE, "dashed")])]
    _outline(axes[0], outlines, 1.5 * zoom**0.5)
    _numbers(axes[0], strip(view.show(numbered(exam.mask))), columns.stop - columns.start, zoom)
    if exam.twin is not None:
        axes[1].imshow(strip(view.show(exam.twin)), **window)
    heat = axes[-1].imshow(strip(score), cmap="inferno", vmin=0, vmax=1, aspect=view.aspect)
    _scale(figure, axes[-1], heat, exam.finding.thresholds.voxel, zoom)
    _names(axes, view, chosen, zoom, has_twin=exam.twin is not None)
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


def _canvas(height: int, width: int, tiles: int, view: View, exam: Examination) -> tuple[Figure, list[Axes], float]:
    """A figure, an axis for each of its rows, and how much larger than 240 pixels a tile is."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = 3 if exam.twin is not None else 2
    longest = max(width, height * view.aspect)  # of a slice, in its columns
    each = width * max(1.0, _TILE / longest)
    zoom = max(1.0, longest / _TILE)
    tall = max(1, round(each * height * view.aspect / width))
    shrink = min(1.0, _MOST / max(tiles * each, count * tall))
    each, tall, zoom = each * shrink, max(1, round(tall * shrink)), zoom * shrink
    wide = tiles * each
    left, right, top, bottom, gap = (zoom * edge for edge in (_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP))
    size = (left + wide + right, top + count * tall + (count - 1) * gap + bottom)
    figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = []
    for row in range(count):
        base = bottom + (count - 1 - row) * (tall + gap)
        axes.append(figure.add_axes((left / size[0], base / size[1], wide / size[0], tall / size[1])))
        axes[-1].set_axis_off()
    return figure, axes, zoom


def _outline(axes: Axes, outlines: Sequence[tuple[Array, str, str]], width: float) -> None:
    """Outline masks, each in its colour and line style; all halos lie under all lines, so that none hides another."""
    drawn = [(mask > 0, colour, style) for mask, colour, style in outlines if mask.any()]
    for mask, _, _ in drawn:
        axes.contour(mask, levels=[0.5], colors=[_HALO], linewidths=2.4 * width)
    for mask, colour, style in drawn:
        axes.contour(mask, levels=[0.5], colors=[colour], linewidths=width, linestyles=style)


def _numbers(axes: Axes, regions: Array, width: int, zoom: float) -> None:
    """The number of every region beside it, as in the table of regions."""
    for start in range(0, regions.shape[1], width):
        tile = regions[:, start : start + width]
        for number in (int(one) for one in np.unique(tile) if 0 < one <= _NUMBERED):
            rows, columns = np.nonzero(tile == number)
            x = min(start + columns.max() + 1, start + width - 0.06 * width)
            _write(axes, x, max(rows.min() - 1, 0.05 * len(tile)), str(number), FOUND, 9 * zoom)


def _write(axes: Axes, x: float, y: float, text: str, colour: str, size: float, **options: Any) -> None:
    """Text with a dark halo."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=size / 4, foreground=_HALO)]
    axes.text(x, y, text, color=colour, size=size, path_effects=halo, **options)


def _names(axes: list[Axes], view: View, chosen: list[int], zoom: float, *, has_twin: bool) -> None:
    """Slice numbers above, sides in the corners of every picture, what each row shows on the left."""
    words = ["image", "healthy twin", "score"] if has_twin else ["image", "score"]
    size = 8 * zoom
    for axis, word in zip(axes, words, strict=True):
        middle: dict[str, Any] = {"transform": axis.transAxes, "va": "center"}
        axis.text(-0.008, 0.5, word, color=_INK, size=size, rotation=90, ha="right", **middle)
        for place in range(len(chosen)):
            for name, x, side in zip(view.edges, (0.02, 0.98), ("left", "right"), strict=True):
                _write(axis, (place + x) / len(chosen), 0.5, name, _INK, size, ha=side, **middle)
    top = axes[0]
    for place, index in enumerate(chosen):
        name = f"{view.plane} {view.number(index)} of {view.count}" if view.count > 1 else view.plane
        x = (place + 0.5) / len(chosen)
        top.text(x, 1.012, name, transform=top.transAxes, color=_INK, size=size, ha="center", va="bottom")


def _scale(figure: Figure, axes: Axes, heat: object, threshold: float, zoom: float) -> None:
    """A colour scale beside the score map, the voxel threshold marked."""
    box = axes.get_position()
    width, height = figure.get_size_inches() * _DPI / zoom
    margin = min(9 / height, 0.2 * box.height)  # a flat picture is lower than the margins of a tall one
    place = figure.add_axes((box.x1 + 8 / width, box.y0 + margin, 10 / width, box.height - 2 * margin))
    bar = figure.colorbar(heat, cax=place)  # type: ignore[arg-type]
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.set_ticks([0, threshold, 1], labels=["0", f"{threshold:.2f}", "1"])
    bar.ax.tick_params(colors=_INK, labelsize=7 * zoom, length=2 * zoom, pad=2 * zoom)
    bar.ax.axhline(threshold, color=FOUND, linewidth=1.2 * zoom)


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
