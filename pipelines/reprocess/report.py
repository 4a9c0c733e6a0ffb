"""`report.html` of an archive: counts, drift, quarantine, scores, and the most abnormal cases."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.files import write_whole
from pipelines.problems import CommandError
from pipelines.reprocess.drift import drift, kept, latest
from pipelines.reprocess.ledger import Ledger, Row, State
from pipelines.reprocess.reasons import remedy
from pipelines.reprocess.store import Store

if TYPE_CHECKING:
    from anomaly.scoring import Calibration
    from pipelines.examine import Result

FILE = "report.html"
CASES = 20  # with a picture
_ROWS = 1000  # in the table
_MOST_BYTES = 24_000_000  # of the page; volumes for the viewer are left out beyond it


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A case with its picture, and the volumes of the viewer as gzipped NIfTI."""

    result: Result
    words: str
    view: bytes | None = None
    view_score: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes in base64."""
        parts = (self.result.picture, self.view, self.view_score)
        return sum(4 * len(part) // 3 for part in parts if part is not None)


def write_batch_report(archive: Path, ledger: Ledger, *, output: Path | None = None, cases: int = CASES) -> Path:
    """Write the page of the configuration that the last finished job had.

    No name of a file or a patient is in it.

    Args:
        archive: its folder.
        ledger: of the archive.
        output: the HTML file; None: `report.html` in the archive.
        cases: how many are drawn, those with the highest scores.

    Raises:
        CommandError: the file cannot be written, or the viewer's script is another one.
    """
    from pipelines.page import render
    from pipelines.viewer import VERSION, find_niivue

    every = ledger.rows(State.DONE)
    configuration = latest(every)
    done = sorted((row for row in every if row["configuration"] == configuration), key=lambda row: -row["score"])
    calibration = kept(archive, configuration) if done else None
    niivue = find_niivue()
    shown = _within(_shown(Store(archive), done[:cases], views=niivue is not None), len(niivue or ""))
    viewed = any(item.view for item in shown)
    html = render(
        "batch.html.j2",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        jobs=ledger.counts(),
        drift=drift(calibration, done, configuration) if calibration else _nothing(),
        bundle=_bundle(done[0]) if done else None,
        first=shown[0].result.finding if shown else None,
        others=len(every) - len(done),
        abnormal=sum(bool(row["abnormal"]) for row in done),
        chart=_chart([row["score"] for row in done], calibration) if calibration else None,
        reasons=_reasons(ledger.rows(State.QUARANTINED)),
        shown=shown,
        done=done,
        most=_ROWS,
        niivue=niivue if viewed else None,
        script=_script(),
        version=VERSION,
    )
    path = output or archive / FILE
    try:
        return write_whole(path, html)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}"
        raise CommandError(msg) from error


def _shown(store: Store, rows: Sequence[Row], *, views: bool) -> list[_Shown]:
    """Cases whose outputs are there."""
    shown = []
    for row in rows:
        folder, names = store.place(row["key"]), row["outputs"] or {}

        def content(kind: str, folder: Path = folder, names: dict[str, str] = names) -> bytes | None:
            path = folder / names[kind] if kind in names else None
            return path.read_bytes() if path is not None and path.is_file() else None

        finding = content("finding")
        if finding is not None:
            item = _item(row, finding, content("picture"))
            both = content("view"), content("view_score")
            shown.append(replace(item, view=both[0], view_score=both[1]) if views and all(both) else item)
    return shown


def _item(row: Row, finding: bytes, picture: bytes | None) -> _Shown:
    from anomaly import Finding
    from pipelines.examine import Result
    from pipelines.record import CaseRecord
    from pipelines.report import verdict

    told = Finding.model_validate_json(finding)
    record = CaseRecord(case=row["name"], source=row["name"], status="done", volume_ml=row["volume_ml"])
    return _Shown(result=Result(record=record, finding=told, picture=picture), words=verdict(told))


def _within(shown: list[_Shown], size: int) -> list[_Shown]:
    """The cases, the last ones without volumes where the page would grow too large."""
    kept_small = []
    for item in shown:
        size += item.size
        kept_small.append(item if size <= _MOST_BYTES else replace(item, view=None, view_score=None))
    return kept_small


def _bundle(row: Row) -> dict[str, str]:
    return {"name": row["bundle"], "version": row["version"], "weights_sha256": row["weights"]}


def _nothing() -> Any:
    from pipelines.reprocess.drift import DriftRecord

    return DriftRecord(configuration="")


def _reasons(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Quarantined cases by code, the most frequent first."""
    by_code: dict[str, dict[str, Any]] = {}
    for row in rows:
        told = {"code": row["code"], "reason": row["reason"], "remedy": remedy(row["code"]), "cases": []}
        by_code.setdefault(row["code"], told)["cases"].append(row["name"])
    return sorted(by_code.values(), key=lambda told: -len(told["cases"]))


def _script() -> str:
    from importlib.resources import files

    return (files("pipelines") / "templates" / "viewer.js").read_text(encoding="utf-8")


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
