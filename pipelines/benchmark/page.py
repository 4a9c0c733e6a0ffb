"""`leaderboard.html`: the table, bars with intervals, precision-recall curves, and the same cases for all methods."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from anomaly.metrics import ScoreHistogram
from pipelines.benchmark.leaderboard import COSTS, HEADINGS, cell, costs
from pipelines.report.page import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from anomaly.metrics import CaseMeasures
    from pipelines.benchmark.cohort import Cohort
    from pipelines.benchmark.record import BenchmarkRecord, Row

Array = np.ndarray
Results: TypeAlias = "Mapping[str, tuple[Any, Sequence[CaseMeasures], Mapping[str, Array]]]"
_BARS = ("voxel_ap", "best_dice", "dice_at_threshold", "aupro", "lesion_sensitivity", "image_auroc")
_TILE = 1.5  # inches
_POINTS = 300  # of a curve


def draw(record: BenchmarkRecord, results: Results, cohort: Cohort) -> str:
    """The page as HTML in one file, without script and network.

    Args:
        record: of the benchmark.
        results: by method: its run, its cases and its pictures.
        cohort: that was measured on.
    """
    done = [row for row in record.rows if not row.run.error]
    shown = [key for key in HEADINGS if any(row.metrics[key].value is not None for row in done)]
    return render(
        "leaderboard.html.j2",
        record=record,
        done=done,
        failed=[row for row in record.rows if row.run.error],
        headings={key: HEADINGS[key] for key in shown},
        cell=cell,
        costs=costs,
        cost_headings=COSTS,
        bars=_png(_bars(done, [key for key in _BARS if key in shown])) if done else None,
        curves=_png(_curves(done, results)) if done else None,
        cases=_png(figure) if done and (figure := _cases(done, results, cohort)) else None,
    )


def _bars(rows: Sequence[Row], keys: Sequence[str]) -> Figure:
    """A panel for each statistic: a bar a method, with its interval."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 0.6 + 0.3 * len(rows) * -(-len(keys) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(keys) // 3), 3, squeeze=False, sharey=True).ravel()
    places = np.arange(len(rows))[::-1]
    for panel, key in zip(panels, keys, strict=False):
        values = [row.metrics[key] for row in rows]
        heights = [np.nan if one.value is None else one.value for one in values]
        panel.barh(places, heights, color="#4f86c6", height=0.65)
        for place, one in zip(places, values, strict=True):
            if one.interval is not None:
                panel.plot(one.interval, (place, place), color="#1b1f24", linewidth=1.4)
        panel.set(title=HEADINGS[key], xlim=(0, 1), yticks=places, yticklabels=[row.title for row in rows])
    for panel in panels[len(keys) :]:
        panel.set_axis_off()
    return figure


def _curves(rows: Sequence[Row], results: Results) -> Figure:
    """Precision over recall of all voxels, a line a method."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    for number, row in enumerate(rows):
        recall, precision = curve(results[row.method][1])
        axes.plot(recall, precision, label=row.title, linestyle=("-", "--", ":")[number // 10 % 3], linewidth=1.6)
    axes.set(xlabel="recall of lesion voxels", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize=8)
    return figure


def curve(cases: Sequence[CaseMeasures]) -> tuple[Array, Array]:
    """Recall and precision of all voxels of the cases, from the strictest threshold on, at most so many points."""
    pooled = sum((case.histogram for case in cases if case.masked), start=ScoreHistogram())
    true = np.cumsum(pooled.abnormal[::-1])
    false = np.cumsum(pooled.healthy[::-1])
    some = np.unique(np.searchsorted(true, np.linspace(0, true[-1], _POINTS)[1:]))
    some = some[true[some] + false[some] > 0]
    return true[some] / max(true[-1], 1), true[some] / (true[some] + false[some])


def _cases(rows: Sequence[Row], results: Results, cohort: Cohort) -> Figure | None:
    """A row of tiles for each case: the image with its lesion outlined, and the score map of every method."""
    from matplotlib.figure import Figure

    from data_prep import read_volume
    from data_prep.cases.visit import file_of

    first = results[rows[0].method][2]
    items = [item for item in cohort.test if f"{item['case']}_level" in first]
    if not items:
        return None
    figure = Figure(figsize=(_TILE * (len(rows) + 1), _TILE * len(items) + 0.3), layout="constrained")
    grid = figure.subplots(len(items), len(rows) + 1, squeeze=False)
    for tiles, item in zip(grid, items, strict=True):
        level, truth = int(first[f"{item['case']}_level"]), first[f"{item['case']}_truth"]
        image = read_volume(file_of(item["image"])).array[..., level]
        _tile(tiles[0], image, "image", truth, cmap="gray", vmin=0, vmax=float(np.percentile(image, 99.5)) or 1.0)
        for tile, row in zip(tiles[1:], rows, strict=True):
            score = results[row.method][2][f"{item['case']}_score"].astype(np.float32)
            _tile(tile, score, row.title, truth, cmap="inferno", vmin=0, vmax=_threshold(row))
    return figure


def _threshold(row: Row) -> float:
    """Scores from here on are shown brightest: twice the healthy-calibrated threshold, at most 1."""
    return min(1.0, 2 * (row.run.voxel_threshold or 0.5)) or 1.0


def _tile(axes: Any, image: Array, title: str, truth: Array, **colours: Any) -> None:
    axes.imshow(image.T, origin="lower", **colours)
    if truth.any():
        axes.contour(truth.T, levels=[0.5], colors="#35c8ff", linewidths=0.8)
    axes.set_title(title, fontsize=7)
    axes.set_axis_off()


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()
