"""Every page that a person sees, made from made-up heads, and what it must contain."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from archive import Bench, job
from browser import Page
from made_up import Knows, cohort, results

from pipelines.benchmark import page as leaderboard
from pipelines.benchmark.leaderboard import COSTS, HEADINGS, cell, costs
from pipelines.benchmark.record import BenchmarkRecord
from pipelines.detect.demo import summary
from pipelines.record import RunRecord
from pipelines.report.page import render
from pipelines.report.run import write_report
from pipelines.reprocess.archive.drift import keep
from pipelines.reprocess.archive.report import Running, write_batch_report
from pipelines.reprocess.ledger.ledger import Ledger
from pipelines.reprocess.ledger.reasons import meaning
from pipelines.reprocess.site import Site

ROOT = Path(__file__).resolve().parents[2]
_VIEWER = "document.getElementById('viewer').dataset"


@dataclass(frozen=True, kw_only=True)
class Look:
    """A page, and what is done before it is looked at.

    Args:
        page: its file under the folder of all pages.
        shows: selectors of elements that must be there and take up room.
        says: words that must be on it.
        act: what a user does first.
        fits: it must not be wider than a phone.
    """

    page: str
    shows: tuple[str, ...]
    says: tuple[str, ...] = ()
    act: Callable[[Page], None] = field(default=lambda _: None)
    fits: bool = True


def _enlarge(page: Page) -> None:
    page.click("#picture-1 a.enlarge")
    page.until("document.querySelector('#picture-1:target') !== null")


def _open(page: Page) -> None:
    page.click("#case-1 button[data-view]")
    page.until(f"{_VIEWER}.state === 'ready' && {_VIEWER}.volumes === '4'")


_TABLES = (".md-typeset table",)
LOOKS = {
    "report": Look(
        page="report.html",
        shows=("h1", ".caution", "#overview", "#case-1 img[alt*='region']", "#case-1 table", "button[data-view]"),
        says=("Not a medical device", "Region 1", "p-value", "true lesion"),
    ),
    "report enlarged": Look(page="report.html", shows=("#picture-1:target img", ".shrink"), act=_enlarge, fits=False),
    "viewer": Look(page="report.html", shows=("dialog[open] canvas", "dialog nav button", "dialog output"), act=_open),
    "archive": Look(
        page="archive.html",
        shows=("h1", ".tiles", ".to-do ol li", "figure img[alt]", "#cases", "#all + section table"),
        says=("Needs a person", "healthytwin where ARCHIVE CASE", "Came in", "Finished"),
    ),
    "archive while running": Look(
        page="running.html", shows=(".tiles", "[role=status]"), says=("A run is under way", "Time left: 12 min")
    ),
    "leaderboard": Look(page="leaderboard.html", shows=("h1", "table", "figure img[alt]"), says=("Behind",)),
    "contact sheet": Look(
        page="contact_sheet.html", shows=("h1", ".sheet img[alt]", "#save"), says=("Look at every scan",)
    ),
    "site home": Look(
        page="site/index.html", shows=("h1", "img[src='demo.png']", ".grid.cards li:nth-child(3)", "pre code")
    ),
    "site gallery": Look(page="site/gallery/index.html", shows=("h1", "h2", "img[src$='.png']")),
    "site detect": Look(page="site/how-to/detect/index.html", shows=("h1", "pre code")),
    "site results": Look(page="site/reference/leaderboards/index.html", shows=("h1", *_TABLES)),
    "site glossary": Look(page="site/reference/glossary/index.html", shows=("h1", *_TABLES)),
}


def make_pages(folder: Path) -> None:
    """Write every page but those of the site."""
    datalist = cohort(folder / "cohort")
    found = results(datalist)
    run = RunRecord(command="demo", output=str(folder), cases=[one.record for one in found], seconds=21)
    if found[0].finding is not None:
        run.bundle, run.versions = found[0].finding.bundle.model_dump(), found[0].finding.versions
    write_report(folder / "report.html", run, found, title="Demo: made-up heads")
    assert summary(run).startswith("3 of 3")
    _archive(folder, datalist)
    (folder / "leaderboard.html").write_text(_leaderboard())
    _contact_sheet(folder, datalist.parent / "images")


def make_site(folder: Path) -> None:
    """Build the documentation as a site."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _archive(folder: Path, datalist: Path) -> None:
    """The page of an archive in which some cases need a person, and that of a run which is under way."""
    archive, root = folder / "archive", folder / "bundle"
    archive.mkdir()
    (root / "configs").mkdir(parents=True)
    (root / "configs" / "metadata.json").write_text('{"name": "made_up", "version": "0.1.0"}')
    ledger = Ledger.of(archive, wait=5)
    bench = Bench(archive, ledger, root, Site())
    worker = bench.worker(detector=Knows())
    for task in bench.enter(datalist.parent / "images"):
        worker.run(task)
    keep(archive, bench.plan(datalist.parent / "images").model)
    for key, code in (("a", "MISSING_SLICES"), ("b", "MISSING_SLICES"), ("c", "MIXED_PATIENTS"), ("d", "TIME_OUT")):
        ledger.enter(job(key), code=code, reason=meaning(code))
    ledger.settle("source", "", [], {"LOCALIZER": 7, "NO_PIXELS": 2})
    write_batch_report(archive, ledger, output=folder / "archive.html")
    for key in "ef":
        ledger.enter(job(key))
    running = Running(total=12, left=720.0, skipped={"LOCALIZER": 7})
    write_batch_report(archive, ledger, output=folder / "running.html", running=running)
    ledger.close()


def _leaderboard() -> str:
    """The page of a leaderboard that is committed; the curves, which need every voxel's score, are bars again."""
    path = ROOT / "docs" / "reference" / "results" / "leaderboard-lgg-flair.json"
    record = BenchmarkRecord.model_validate_json(path.read_text())
    done = [row for row in record.rows if not row.run.error]
    bars = leaderboard._png(leaderboard._bars(done, leaderboard._BARS[:3]))
    return render(
        "leaderboard.html.j2",
        record=record,
        done=done,
        failed=[row for row in record.rows if row.run.error],
        headings={key: HEADINGS[key] for key in HEADINGS if done[0].metrics[key].value is not None},
        cell=cell,
        costs=costs,
        cost_headings=COSTS,
        bars=bars,
        curves=bars,
        cases=None,
    )


def _contact_sheet(folder: Path, images: Path) -> None:
    from data_prep.cohort.steps import Steps
    from pipelines.cohort.prepare import prepare

    prepare([images], folder / "prepared", steps=Steps())
    shutil.copyfile(folder / "prepared" / "contact_sheet.html", folder / "contact_sheet.html")
