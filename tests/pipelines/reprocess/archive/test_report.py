"""The page of an archive: complete, without a name, and with a viewer that works in a browser without network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from archive import FAMILY_NAME
from bright import AFFINE, BrightIsAbnormal, head
from browser import chromium
from typer.testing import Result

from data_prep import Volume
from pipelines.problems import CommandError
from pipelines.report import cases as shown
from pipelines.report import viewer
from pipelines.report.volumes import write_volumes

Run = Callable[..., Result]


@pytest.fixture
def archive(healthytwin: Run, identity_bundle: Path, source: Path, tmp_path: Path) -> Path:
    (source / f"{FAMILY_NAME}_2.nii.gz").write_bytes(b"no image at all")
    done = healthytwin("reprocess", source, "-o", tmp_path / "archive", "--bundle", identity_bundle, "--json")
    assert json.loads(done.stdout)["report"] == str(tmp_path / "archive" / "report.html")
    return tmp_path / "archive"


@pytest.fixture
def no_viewer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(viewer.VARIABLE, str(tmp_path / "none"))


def test_counts_reasons_scores_and_pictures_are_on_the_page_and_no_name(
    no_viewer: None, archive: Path, healthytwin: Run
) -> None:
    page = (archive / "report.html").read_text()
    assert "3 done" in page
    assert "1 quarantined" in page
    assert "a file is named, or called an image, and is none" in page
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
    run = healthytwin("reprocess", tmp_path / "in", "-o", tmp_path / "archive", "--bundle", identity_bundle)
    assert run.exit_code == 3
    assert "1 quarantined" in (tmp_path / "archive" / "report.html").read_text()


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
