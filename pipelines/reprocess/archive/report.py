"""`report.html` of an archive: what came in, what a person is to do, drift, scores, and the most abnormal cases."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.machine.files import write_whole
from pipelines.problems import CommandError
from pipelines.reprocess.archive.drift import drift, kept, latest
from pipelines.reprocess.archive.store import Store
from pipelines.reprocess.ledger.ledger import Ledger, Row, State
from pipelines.reprocess.ledger.reasons import is_automatic, steps
from pipelines.terminal.progress import duration

if TYPE_CHECKING:
    from anomaly.scoring import Calibration
    from pipelines.report.result import Result

FILE = "report.html"
CASES = 20  # with a picture
_ROWS = 1000  # in the table


@dataclass(frozen=True, kw_only=True)
class Running:
    """A run that is under way.

    Args:
        total: cases of the source; None: not known yet.
        left: seconds; None: not known yet.
        skipped: what the source holds and is not for the bundle, by reason code.
    """

    total: int | None
    left: float | None
    skipped: Mapping[str, int]


def write_batch_report(
    archive: Path, ledger: Ledger, *, output: Path | None = None, cases: int = CASES, running: Running | None = None
) -> Path:
    """Write the page of the configuration that the last finished job had.

    No name of a file or a patient is in it.

    Args:
        archive: its folder.
        ledger: of the archive.
        output: the HTML file; None: `report.html` in the archive.
        cases: how many are drawn, those with the highest scores.
        running: the run that is under way; its page is without the viewer.

    Raises:
        CommandError: the file cannot be written, or the viewer's script is another one.
    """
    from pipelines.report.cases import show
    from pipelines.report.page import render
    from pipelines.report.viewer import find_scripts

    every = ledger.rows(State.DONE)
    configuration = latest(every)
    done = sorted((row for row in every if row["configuration"] == configuration), key=lambda row: -row["score"])
    calibration = kept(archive, configuration) if done else None
    scripts = find_scripts() if running is None else None
    shown = show(_results(Store(archive), done[:cases], volumes=scripts is not None), scripts)
    html = render(
        "batch.html.j2",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        **_state(ledger, running),
        drift=drift(calibration, done, configuration) if calibration else _nothing(),
        bundle=_bundle(done[0]) if done else None,
        first=shown[0].result.finding if shown else None,
        others=len(every) - len(done),
        abnormal=sum(bool(row["abnormal"]) for row in done),
        chart=_chart([row["score"] for row in done], calibration) if calibration else None,
        shown=shown,
        done=done,
        most=_ROWS,
        scripts=scripts if any(item.result.volumes for item in shown) else None,
    )
    path = output or archive / FILE
    try:
        return write_whole(path, html)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}"
        raise CommandError(msg) from error


def _state(ledger: Ledger, running: Running | None) -> dict[str, Any]:
    """What came in and what became of it, what a person is to do, and the run that is under way."""
    from pipelines.reprocess.archive.deliver import REFUSED, WAITING, delivered

    jobs, reasons, sent = ledger.counts(), _reasons(ledger.rows(State.QUARANTINED)), delivered(ledger)
    return {
        "jobs": jobs,
        "came_in": sum(jobs.values()) - jobs[State.WITHDRAWN.value],
        "skipped": running.skipped if running is not None else ledger.skipped(),
        "running": running,
        "time_left": duration(running.left) if running is not None and running.left is not None else "",
        "to_do": [reason for reason in reasons if not reason["automatic"]],
        "by_itself": sum(len(reason["cases"]) for reason in reasons if reason["automatic"]),
        "refused": sent[REFUSED],
        "unanswered": sent[WAITING],
    }


def _results(store: Store, rows: Sequence[Row], *, volumes: bool) -> list[Result]:
    """Cases whose outputs are there."""
    results = []
    for row in rows:
        folder, names = store.place(row["key"]), row["outputs"] or {}

        def content(kind: str, folder: Path = folder, names: dict[str, str] = names) -> bytes | None:
            path = folder / names[kind] if kind in names else None
            return path.read_bytes() if path is not None and path.is_file() else None

        finding = content("finding")
        if finding is not None:
            results.append(_result(row, finding, content, volumes=volumes))
    return results


def _result(row: Row, finding: bytes, content: Callable[[str], bytes | None], *, volumes: bool) -> Result:
    from anomaly import Finding
    from pipelines.record import CaseRecord, unit_of
    from pipelines.report.result import Result
    from pipelines.report.volumes import Volumes

    image, score = (content("view"), content("view_score")) if volumes else (None, None)
    said = Finding.model_validate_json(finding)
    return Result(
        record=CaseRecord(
            case=row["name"],
            source=row["name"],
            status="done",
            volume_ml=row["volume_ml"],
            sequence=row["sequence"] or "",
            voxel_mm=row["voxel_mm"] or "",
            slices=row["slices"] or 0,
            unit=unit_of(row["slices"] or 0, said.flags),
        ),
        finding=said,
        picture=content("picture"),
        volumes=Volumes(image=image, score=score, twin=content("view_twin")) if image and score else None,
    )


def _bundle(row: Row) -> dict[str, str]:
    return {"name": row["bundle"], "version": row["version"], "weights_sha256": row["weights"]}


def _nothing() -> Any:
    from pipelines.reprocess.archive.drift import DriftRecord

    return DriftRecord(configuration="")


def _reasons(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Quarantined cases by code, the most frequent first."""
    by_code: dict[str, dict[str, Any]] = {}
    for row in rows:
        code = row["code"]
        known = {"reason": row["reason"], "steps": steps(code), "automatic": is_automatic(code)}
        by_code.setdefault(code, {"code": code, "cases": [], **known})["cases"].append(row["name"])
    return sorted(by_code.values(), key=lambda row: -len(row["cases"]))


def _chart(scores: Sequence[float], calibration: Calibration) -> bytes:
    """Scores of the archive's scans over those of the healthy ones, as a PNG; a line where abnormal begins."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.8), layout="constrained")
    axes = figure.subplots()
    bins = np.linspace(0, 1, 41).tolist()
    for values, colour, word in (
        (calibration.image_scores, "#7fa886", f"{len(calibration.image_scores)} healthy calibration scans"),
        (scores, "#4f86c6", f"{len(scores)} scans of this archive"),
    ):
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values, bins, weights=weights, color=colour, alpha=0.6, label=word)
    axes.plot(calibration.image_scores, np.zeros(len(calibration.image_scores)), "|", color="#1e5a3a", markersize=14)
    if calibration.image_threshold <= 1:
        axes.axvline(calibration.image_threshold, color="#8a3b00", linewidth=1.4, label="abnormal above")
    axes.set(xlim=(0, 1), xlabel="score", ylabel="part of the scans")
    axes.legend(frameon=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()
