"""What a person sees while a command runs, and at its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.record import CaseRecord, LearningRecord, RunRecord
from pipelines.report.measures import Measure

if TYPE_CHECKING:
    from pipelines.benchmark.record import BenchmarkRecord
    from pipelines.cohort.record import PrepareRecord
    from pipelines.detect.inspect import InspectRecord, SeriesRecord
    from pipelines.doctor import DoctorRecord

_VERDICTS = {"ACCEPT": "green", "SKIP": "bright_black", "QUARANTINE": "red"}
_STATES = {"ok": "green", "note": "yellow", "broken": "red"}
_STYLES = {"outlined": "green", "partly outlined": "yellow", "missed": "red"}

_WIDE = 100  # columns from which a table of series can be read
_UNFOLDED = 10_000  # columns where no person looks: a line that a program searches stays whole


def print_series(run: InspectRecord) -> None:
    """One line per series on standard output; in a narrow terminal, place and reason have lines of their own."""
    console = Console()
    if console.is_terminal and console.width < _WIDE:
        for series in run.series:
            console.print(
                Text.assemble((series.verdict, _VERDICTS[series.verdict]), " ", series.place), soft_wrap=False
            )
            console.print(Text(f"  {_remark(series)}" if _remark(series) else "", "italic"))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("verdict", "kind"):
        table.add_column(column, no_wrap=True)
    for column in ("files", "voxels", "mm"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("place, and why not", overflow="fold")
    for series in run.series:
        remark = _remark(series)
        table.add_row(
            Text(series.verdict, style=_VERDICTS[series.verdict]),
            series.modality if series.kind == "dicom" and series.modality.isalnum() else series.kind,
            str(series.files),
            " x ".join(map(str, series.shape or ())),
            " x ".join(f"{length:.3g}" for length in series.spacing_mm or ()),
            Text.assemble(series.place, (f"\n{remark}", "italic") if remark else ""),
        )
    (console if console.is_terminal else Console(width=_UNFOLDED)).print(table)


def _remark(series: SeriesRecord) -> str:
    """Why it is not accepted, or what there is to know of it."""
    return f"{series.reason} [{series.code}]" if series.code else ", ".join(series.flags)


def print_passed(remark: str) -> None:
    """What was found and not used, on standard error."""
    if remark:
        typer.echo(f"{remark}; `healthytwin inspect` names them", err=True)


def print_bundles(run: RunRecord) -> None:
    """Which bundle examined which cases and why, where it was chosen for each, on standard error."""
    chosen: dict[tuple[str, str], list[str]] = {}
    for case in run.cases:
        if case.chosen_because:
            chosen.setdefault((case.bundle, case.chosen_because), []).append(case.case)
    for (bundle, why), names in chosen.items():
        which = names[0] if len(names) == 1 else f"{len(names)} cases"
        typer.echo(f"{which}: examined with {bundle}: {why}", err=True)


def print_refused(record: LearningRecord) -> None:
    """The scans that were left out, each with its reason, on standard error."""
    for scan in record.refused:
        typer.echo(f"left out: {scan.words}", err=True)


def print_scans(run: PrepareRecord) -> None:
    """How many patients and scans each section has, and a line for what is not used, on standard output."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("section", no_wrap=True)
    for column in ("patients", "scans", "with a lesion"):
        table.add_column(column, justify="right", no_wrap=True)
    for section in ("training", "validation", "test"):
        scans = [scan for scan in run.scans if scan.section == section]
        ill = sum(bool(scan.abnormal_voxels) for scan in scans)
        table.add_row(section, str(len({scan.patient for scan in scans})), str(len(scans)), str(ill))
    if run.datalist:
        Console().print(table)
    for scan in run.scans:
        if scan.status != "prepared":
            style = "red" if scan.status == "refused" else "bright_black"
            Console().print(Text(f"{scan.status}: {scan.name}: {scan.reason} [{scan.code}]", style=style))


def print_cases(run: RunRecord) -> None:
    """One line a case on standard output."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("case", overflow="fold")
    table.add_column("result", overflow="fold")
    size = "ml" if all(case.unit == "ml" for case in run.cases) else "size"
    for column in ("score", "p", "regions", size):
        table.add_column(column, justify="right", no_wrap=True)
    for case in run.cases:
        table.add_row(Text(case.case), *_cells(case))
    Console().print(table)


def print_truths(run: RunRecord) -> None:
    """What became of every true lesion, and the false alarms on healthy cases, on standard output."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("case", overflow="fold")
    table.add_column("true lesion")
    table.add_column("outcome")
    for column in ("in the mask", "Dice"):
        table.add_column(column, justify="right", no_wrap=True)
    for case in run.cases:
        if case.truth is None:
            continue
        for lesion in case.truth.lesions:
            outcome = Text(lesion.outcome, style=_STYLES[lesion.outcome])
            overlap, dice = f"{100 * lesion.overlap:.0f} %", f"{lesion.dice:.2f}"
            table.add_row(Text(case.case), case.size(lesion.volume_ml), outcome, overlap, dice)
        if case.truth.dice is None:
            clear = case.truth.mask_ml == 0
            outcome = (
                Text("nothing outlined", "green") if clear else Text(f"{case.size(case.truth.mask_ml)} outlined", "red")
            )
            table.add_row(Text(case.case), "none (healthy)", outcome)
    Console().print(table)


def print_checks(record: DoctorRecord) -> None:
    """One line a check on standard output, and below it what to do."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    for width in (34, None):
        table.add_column(overflow="fold", max_width=width)
    for check in record.checks:
        found = Text.assemble(check.found, (f"\n{check.remedy}", "italic") if check.remedy else "")
        table.add_row(Text(check.state, style=_STATES[check.state]), check.what, found)
    Console().print(table)


def print_measures(rows: list[Measure]) -> None:
    """The metrics of an evaluation on standard output."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("what it means", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def print_rows(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A plain table on standard output."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def print_leaderboard(record: BenchmarkRecord) -> None:
    """One line a method on standard output, the best first, with what it cost or why it failed."""
    from pipelines.benchmark.leaderboard import COSTS, HEADINGS, cell, costs

    rows = [row for row in record.rows if not row.run.error]
    keys = ("best_dice", "dice_at_threshold")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("method", HEADINGS["voxel_ap"], *(HEADINGS[key] for key in keys), *COSTS[:3]):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for row in rows:
        others = [cell(row.metrics[key]).partition(" ")[0] for key in keys]
        table.add_row(row.title, cell(row.metrics["voxel_ap"]), *others, *costs(row)[:3])
    Console().print(table)
    for row in record.rows:
        if row.run.error:
            Console().print(Text(f"failed: {row.title}: {row.run.error}", style="red"))


def print_drift(warnings: list[str], notes: list[str]) -> None:
    """What has become of an archive's scans since the calibration, on standard error."""
    for sentence in warnings:
        typer.echo(f"WARNING: {sentence}", err=True)
    for sentence in notes:
        typer.echo(f"note: {sentence}", err=True)


def _cells(case: CaseRecord) -> tuple[Text | str, ...]:
    if case.status == "skipped":
        return Text(f"skipped: {case.reason} [{case.code}]", style="bright_black"), "", "", "", ""
    if case.status == "failed" or case.score is None or case.p_value is None:
        return Text(f"failed: {case.reason} [{case.code}]", style="red"), "", "", "", ""
    word = Text("abnormal", style="yellow") if case.abnormal else Text("not abnormal", style="green")
    return (
        word,
        f"{case.score:.3f}",
        f"{case.p_value:.3f}",
        str(case.lesions),
        case.size(case.volume_ml or 0.0).removesuffix(" ml"),
    )
