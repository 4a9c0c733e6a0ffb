"""The page of an archive: complete, without a name, and with a viewer that works in a browser without network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from archive import FAMILY_NAME, job
from bright import AFFINE, BrightIsAbnormal, head
from browser import chromium
from typer.testing import Result

from data_prep import Volume
from pipelines.problems import CommandError
from pipelines.report import cases as shown
from pipelines.report import viewer
from pipelines.report.volumes import write_volumes
from pipelines.reprocess import run
from pipelines.reprocess.archive.report import write_batch_report
from pipelines.reprocess.ledger.ledger import Ledger
from pipelines.reprocess.ledger.tables import deliveries

Run = Callable[..., Result]


@pytest.fixture
def archive(healthytwin: Run, identity_bundle: Path, source: Path, tmp_path: Path) -> Path:
    (source / f"{FAMILY_NAME}_2.nii.gz").write_bytes(b"no image at all")
    done = healthytwin("reprocess", source, "-o", tmp_path / "archive", "--bundle", identity_bundle, "--json")
    assert json.loads(done.stdout)["report"] == str(tmp_path / "archive" / "report.html")
    return tmp_path / "archive"


def facts(page: str) -> dict[str, int]:
    """The totals at the top of the page."""
    tiles = page.partition('tiles">')[2].partition("</dl>")[0]
    named = re.findall(r"<dt>(?:<a [^>]*>)?([A-Z][a-z ]+)(?:</a>)?</dt><dd>(\d+)", tiles)
    return {name: int(number) for name, number in named}


@pytest.fixture
def no_viewer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(viewer.VARIABLE, str(tmp_path / "none"))


def test_counts_reasons_scores_and_pictures_are_on_the_page_and_no_name(
    no_viewer: None, archive: Path, healthytwin: Run
) -> None:
    page = (archive / "report.html").read_text()
    assert facts(page) == {"Came in": 4, "Finished": 3, "Needs a person": 1}
    assert "a file that was named, or has the name of an image, is not an image" in page
    assert "<li>Export it again, or remove it from the source.</li>" in page
    assert "<code>healthytwin where ARCHIVE CASE</code>" in page
    scores = [float(score) for score in re.findall(r"<dt>Score</dt><dd><strong>([\d.]+)", page)]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert page.count('<img src="data:image/png;base64,') == 4  # three cases and the distribution
    assert FAMILY_NAME.lower() not in page.lower()
    assert "default-src 'none'; img-src data:; style-src" in page
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    told = healthytwin("report", archive, "-o", archive.parent / "small.html", "--cases", "1", "--json")
    assert json.loads(told.stdout) == {"report": str(archive.parent / "small.html")}
    assert (archive.parent / "small.html").read_text().count('<img src="data:image/png;base64,') == 2


def test_an_archive_in_which_nothing_is_done_has_a_page(
    no_viewer: None, healthytwin: Run, identity_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.nii.gz").write_text("no image")
    ended = healthytwin("reprocess", tmp_path / "in", "-o", tmp_path / "archive", "--bundle", identity_bundle)
    assert ended.exit_code == 3
    page = (tmp_path / "archive" / "report.html").read_text()
    assert facts(page) == {"Came in": 1, "Finished": 0, "Needs a person": 1}


def test_the_page_of_a_run_that_is_under_way_says_how_far_it_is(
    no_viewer: None,
    healthytwin: Run,
    identity_bundle: Path,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "PAGE_SECONDS", 0.0)
    pages: list[str] = []

    def write(archive: Path, ledger: Ledger, **named: Any) -> Path:
        path = write_batch_report(archive, ledger, **named)
        pages.append(path.read_text())
        return path

    monkeypatch.setattr(run, "write_batch_report", write)
    done = healthytwin("reprocess", source, "-o", tmp_path / "archive", "--bundle", identity_bundle)
    assert done.exit_code == 0
    *running, last = pages
    assert any("Its source holds 3 cases." in page and "Time left: less than a minute." in page for page in running)
    assert all("A run is under way." in page for page in running)
    assert "under way" not in last
    assert "Everything is finished. Nothing needs a person." in last
    lines = re.findall(r"^\[\d+ s\] case (\d) of 3: [0-9a-f]{12} done", done.stderr, re.MULTILINE)
    assert lines == ["1", "2", "3"]
    assert re.search(r"^\[\d+ s\] 3 cases: 3 done$", done.stderr, re.MULTILINE)


def test_what_the_pacs_has_not_taken_needs_a_person(ledger: Ledger, tmp_path: Path) -> None:
    ledger.enter(job())
    with ledger.write() as connection:
        for kind, state in (("seg", "refused"), ("sr", "waiting")):
            row = {"key": job().key, "kind": kind, "target": "t", "state": state, "reason": "why", "changed": "now"}
            connection.execute(deliveries.insert().values(**row))
    page = write_batch_report(tmp_path / "archive", ledger).read_text()
    assert "1 DICOM object refused by the PACS" in page
    assert "1 DICOM object not sent: the PACS did not answer" in page
    assert "1 case is not finished. Run the same <code>healthytwin reprocess</code> command to continue." in page


def test_views_lie_where_the_scan_lies(tmp_path: Path) -> None:
    shape = (150, 100, 60)
    volume = Volume(array=head(lesion=True, shape=shape), affine=AFFINE)
    exam = BrightIsAbnormal().examine(volume, case="case")
    names = write_volumes(volume, exam, tmp_path)
    image, score = (nib.load(tmp_path / names[kind]) for kind in ("view", "view_score"))
    assert image.shape == score.shape
    assert np.prod(image.shape) <= 400_000 < np.prod(shape)

    def centre(array: np.ndarray, affine: np.ndarray) -> np.ndarray:
        weights = array / array.sum()
        index = [(weights * axis).sum() for axis in np.indices(array.shape)]
        return affine @ [*index, 1]

    full = centre(exam.score, AFFINE)
    np.testing.assert_allclose(centre(np.asarray(score.dataobj), score.affine), full, atol=1.0)
    np.testing.assert_allclose(np.asarray(score.dataobj).max(), exam.score.max(), atol=1 / 255)


def test_a_page_that_grows_too_large_loses_volumes_and_no_case(
    archive: Path, healthytwin: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = viewer.find_niivue()
    if script is None:
        pytest.skip("NiiVue is not there: `make viewer`")
    whole = (archive / "report.html").stat().st_size
    none, every, viewed = len(script), whole, 0  # bytes with which no case, and each, has its volumes
    while viewed in (0, 3) and every - none > 1:
        middle = (none + every) // 2
        monkeypatch.setattr(shown, "_MOST_BYTES", middle)
        assert healthytwin("report", archive).exit_code == 0
        page = (archive / "report.html").read_text()
        assert page.count("<article") == 3
        viewed = page.count("Open in the viewer")
        none, every = (middle, every) if viewed == 0 else (none, middle)
    assert 0 < viewed < 3


def test_another_script_than_the_pinned_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "niivue.js").write_text("alert(1)")
    monkeypatch.setenv(viewer.VARIABLE, str(tmp_path / "niivue.js"))
    with pytest.raises(CommandError, match="not that of NiiVue"):
        viewer.find_niivue()


def test_the_viewer_shows_image_and_score_in_a_browser_without_network(archive: Path, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile") as page:
        page.open(f"{(archive / 'report.html').resolve().as_uri()}#view-1")
        page.until("document.getElementById('viewer').dataset.state === 'ready'")
        assert page.evaluate("document.getElementById('viewer').dataset.dims") == "40x48x10"
        assert page.evaluate("document.getElementById('viewer').dataset.volumes") in ("2", "3")
        assert (page.errors, page.requests) == ([], [])
