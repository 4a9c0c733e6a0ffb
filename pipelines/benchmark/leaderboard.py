"""The table of a benchmark: every method's statistics, with intervals and paired differences to the best."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np

from anomaly.metrics import CaseMeasures, cohort_statistics, interval, resample_patients
from pipelines.benchmark.methods import METHODS
from pipelines.benchmark.record import BenchmarkRecord, Difference, MethodRun, Row, Value

Statistics = Mapping[str, np.ndarray]
HEADINGS = {
    "voxel_ap": "Voxel AP",
    "best_dice": "Best Dice (oracle)",
    "dice_at_threshold": "Dice at healthy threshold",
    "aupro": "AUPRO 0.3",
    "lesion_sensitivity": "Lesions found at 1 false alarm",
    "image_auroc": "Image AUROC",
    "image_ap": "Image AP",
    "false_alarm_rate": "False-alarm rate on healthy",
}
COSTS = ("Training", "A volume", "Over HealthyTwin's", "Peak memory", "Parameters")
_LOW_IS_GOOD = ("false_alarm_rate",)


def rank(
    runs: Mapping[str, tuple[MethodRun, Sequence[CaseMeasures]]],
    *,
    by: str = "voxel_ap",
    resamples: int = 1000,
    seed: int = 0,
) -> list[Row]:
    """The rows of the table, the best first, those that failed last.

    All methods are resampled with the same draws of patients, so that differences are paired.

    Args:
        runs: by method; no cases where it failed.
        by: the statistic that decides.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: two methods were measured on different cases.
    """
    done = {name: cases for name, (run, cases) in runs.items() if not run.error}
    if len({tuple(case.case for case in cases) for cases in done.values()}) > 1:
        msg = "the methods were measured on different cases"
        raise ValueError(msg)
    points: dict[str, Statistics] = {}
    boots: dict[str, Statistics] = {}
    for name, cases in done.items():
        draws = resample_patients([case.patient for case in cases], resamples=resamples, seed=seed)
        points[name] = cohort_statistics(cases, np.ones((1, len(cases)), dtype=np.int64))
        boots[name] = cohort_statistics(cases, draws)
    order = sorted(done, key=lambda name: -np.nan_to_num(points[name][by][0], nan=-1.0))
    rows = []
    for name in order:
        behind = {} if name == order[0] else _behind(points, boots, order[0], name)
        metrics = {
            key: Value(value=_number(points[name][key][0]), interval=interval(boots[name][key])) for key in HEADINGS
        }
        rows.append(_row(name, runs[name][0], metrics, behind))
    rows += [_row(name, run, {}, {}) for name, (run, _) in runs.items() if run.error]
    return _with_ratios(rows)


def deciding(cases: Sequence[CaseMeasures]) -> str:
    """The statistic that ranks methods: voxel AP, or image AUROC where no abnormal case has a mask."""
    known = any(case.ill and case.masked for case in cases) or not any(case.ill for case in cases)
    return "voxel_ap" if known else "image_auroc"


def _row(name: str, run: MethodRun, metrics: dict[str, Value], behind: dict[str, Difference]) -> Row:
    method = METHODS[name]
    title = f"{method.title}, {run.made_of}" if run.made_of else method.title
    return Row(method=name, title=title, source=method.source, metrics=metrics, behind_best=behind, run=run)


def _with_ratios(rows: list[Row]) -> list[Row]:
    """Every method's time for a volume over HealthyTwin's: of the CPU, where that is what it ran on."""
    spent = {row.method: row.run.cpu_seconds_per_volume or row.run.seconds_per_volume for row in rows}
    seconds = {name: value for name, value in spent.items() if value > 0}
    twin = seconds.get("healthy_twin")
    if twin is None:
        return rows
    ratios = {name: round(value / twin, 3) for name, value in seconds.items()}
    return [row.model_copy(update={"over_healthy_twin": ratios.get(row.method)}) for row in rows]


def _behind(
    points: Mapping[str, Statistics], boots: Mapping[str, Statistics], best: str, name: str
) -> dict[str, Difference]:
    """How much better the best method is, in every statistic."""
    differences = {}
    for key in HEADINGS:
        sign = -1 if key in _LOW_IS_GOOD else 1
        differences[key] = Difference(
            value=_number(sign * (points[best][key][0] - points[name][key][0])),
            interval=interval(sign * (boots[best][key] - boots[name][key])),
        )
    return differences


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def as_csv(record: BenchmarkRecord) -> str:
    """The table as comma-separated values, one line a method."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    costs = ("training_seconds", "seconds_per_volume", "peak_mib", "parameters")
    names = [column for key in HEADINGS for column in (key, f"{key}_low", f"{key}_high")]
    writer.writerow(["method", *names, *costs, "over_healthy_twin", "error"])
    for row in record.rows:
        values: list[object] = []
        for key in HEADINGS:
            metric = row.metrics.get(key)
            values += [None if metric is None else metric.value]
            values += list(metric.interval) if metric is not None and metric.interval else [None, None]
        spent = [getattr(row.run, cost) for cost in costs]
        writer.writerow([row.method, *values, *spent, row.over_healthy_twin, row.run.error])
    return stream.getvalue()


def as_markdown(record: BenchmarkRecord) -> str:
    """The table for a document, with what it means in a sentence."""
    keys = [key for key in HEADINGS if any(row.metrics and row.metrics[key].value is not None for row in record.rows)]
    within = f", measured in `{record.box_key}` alone" if record.box_key else ""
    lines = [
        f"{record.test} test cases, {record.abnormal} with a lesion; {record.training} healthy scans to train, "
        f"{record.validation} to calibrate; effort `{record.effort['name']}`, seed {record.seed}, "
        f"margin {record.margin:g} mm{within}. In brackets: 95 % over {record.resamples:,} resamples of patients.",
        "",
        "| method | " + " | ".join([*(HEADINGS[key] for key in keys), *COSTS]) + " |",
        "|---|" + "---|" * (len(keys) + len(COSTS)),
    ]
    for row in record.rows:
        if row.run.error:
            lines.append(
                f"| {row.title} | failed: {row.run.error.replace('|', '/')} |" + " |" * (len(keys) + len(COSTS) - 1)
            )
            continue
        cells = [cell(row.metrics[key]) for key in keys]
        lines.append(f"| {row.title} | " + " | ".join([*cells, *costs(row)]) + " |")
    return "\n".join(lines) + "\n"


def cell(metric: Value | Difference) -> str:
    """A value with its interval."""
    if metric.value is None:
        return "-"
    return f"{metric.value:.3f}" + ("" if metric.interval is None else " ({:.3f} to {:.3f})".format(*metric.interval))


def costs(row: Row) -> list[str]:
    """What a method costs, in words, in the order of `COSTS`."""
    run, ratio = row.run, row.over_healthy_twin
    return [
        f"{run.training_seconds:.0f} s",
        f"{run.seconds_per_volume:.2f} s",
        "-" if ratio is None else f"{ratio:,.2f}",
        "-" if run.peak_mib is None else f"{run.peak_mib} MiB",
        f"{run.parameters:,}",
    ]
