"""The viewer in a report, in a real browser without network: what a click, a key and a narrow screen do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bright import AFFINE, BrightIsAbnormal, head
from browser import Page, chromium
from scipy.spatial.transform import Rotation

from data_prep import Case, Volume
from pipelines.detect.case import summarise
from pipelines.record import RunRecord
from pipelines.report import cases as shown
from pipelines.report import result as results_module
from pipelines.report import viewer
from pipelines.report.cases import show
from pipelines.report.result import Result, spare_volumes
from pipelines.report.run import write_report
from pipelines.report.viewer import Scripts

TIMES = "performance.getEntriesByType('navigation')[0].domInteractive"
READY = "document.getElementById('viewer').dataset.state === 'ready'"
SHOWN = "performance.getEntriesByName('scan shown')[0]?.startTime ?? 0"
PLACE = "document.querySelector('#viewer output').textContent"
SCANNER = np.array([[-0.9, 0, 0, 115], [0, 0.9, 0, -115], [0, 0, 5.5, -60], [0, 0, 0, 1]])


def result(name: str, *, lesion: bool, array: np.ndarray | None = None, affine: np.ndarray = AFFINE) -> Result:
    volume = Volume(array=head(lesion=lesion) if array is None else array, affine=affine, source=f"{name}.nii.gz")
    exam = BrightIsAbnormal().examine(volume, case=name)
    case = Case(name=name, image=volume.source)
    return summarise(case, volume, exam, outputs={}, pictures=True, truths=False, volumes=True)


def write(path: Path, results: list[Result]) -> str:
    """Write a report; gives its address."""
    run = RunRecord(command="detect", output=str(path.parent), cases=[one.record for one in results])
    return write_report(path, run, results, title="Detection").resolve().as_uri()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all tests of this module."""
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def small(page: Page, tmp_path: Path) -> Page:
    """A report of a healthy case and one with a lesion, just opened."""
    page.errors.clear()
    page.look()
    page.open(write(tmp_path / "report.html", [result("well", lesion=False), result("ill", lesion=True)]))
    return page


def at(page: Page) -> np.ndarray:
    """Where the crosshair is, in mm."""
    return np.array([float(part) for part in page.evaluate(PLACE).partition(" mm")[0].split(",")])


def test_a_click_on_a_region_leads_there(small: Page) -> None:
    small.click("#case-2 button[data-mm]")
    small.until(READY)
    np.testing.assert_allclose(at(small), (AFFINE @ [14.5, 23.5, 6, 1])[:3], atol=1.5)
    assert small.evaluate(PLACE).endswith("slice 7 of 10, score 0.80")
    small.until("document.getElementById('viewer').dataset.volumes === '4'")  # the twin comes after the scan
    assert small.evaluate("document.querySelector('#viewer h2').textContent") == "ill"
    assert small.evaluate("document.querySelectorAll('#viewer nav button').length") == 1
    assert (small.errors, small.requests) == ([], [])


def test_a_region_of_an_oblique_scan_is_where_the_finding_says(page: Page, tmp_path: Path) -> None:
    turned = AFFINE.copy()
    turned[:3, :3] = Rotation.from_euler("xyz", (12, -9, 20), degrees=True).as_matrix() @ AFFINE[:3, :3]
    ill = result("oblique", lesion=True, affine=turned)
    page.look()
    page.open(write(tmp_path / "report.html", [ill]))
    page.click("button[data-mm]")
    page.until(READY)
    assert ill.finding is not None
    np.testing.assert_allclose(at(page), ill.finding.lesions[0].centroid_mm, atol=1.5)
    assert page.evaluate(PLACE).endswith("score 0.80")


def test_the_keyboard_is_enough(small: Page) -> None:
    small.evaluate("document.querySelector('#case-2 button[data-mm]').focus()")
    small.press("Enter")
    small.until(READY)
    before = at(small)
    for key in ("ArrowLeft", "PageUp"):
        small.press(key)
    np.testing.assert_allclose(at(small) - before, [2, 0, 6], atol=1.5)  # one voxel to the patient's right, one up
    small.press("Escape")
    small.until("!document.getElementById('viewer').open")
    assert small.evaluate("document.activeElement.dataset.mm") is not None
    assert small.errors == []


def test_a_healthy_case_opens_in_its_middle(small: Page) -> None:
    small.click("#case-1 button[data-view]")
    small.until(READY)
    np.testing.assert_allclose(at(small), (AFFINE @ [19.5, 23.5, 4.5, 1])[:3], atol=6.5)
    assert small.evaluate("document.querySelectorAll('#viewer nav button').length") == 0
    small.click("#viewer input[type=checkbox]")
    assert small.evaluate("document.querySelectorAll('#viewer canvas')[1].hidden")
    small.click("#viewer input[type=checkbox]")
    assert not small.evaluate("document.querySelectorAll('#viewer canvas')[1].hidden")
    small.click("#viewer form button")
    small.until("!document.getElementById('viewer').open")
    assert small.errors == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone(small: Page, dark: bool) -> None:
    small.look(width=390, height=844, dark=dark)
    assert small.evaluate("document.documentElement.scrollWidth") <= 390
    small.click("#case-2 button[data-mm]")
    small.until(READY)
    box = small.evaluate(
        "(() => { const b = document.getElementById('viewer').getBoundingClientRect(); "
        "return [b.left, b.top, b.right, b.bottom]; })()"
    )
    assert min(box) >= 0
    assert box[2] <= 390
    assert box[3] <= 844
    red = small.evaluate("getComputedStyle(document.getElementById('viewer')).backgroundColor.match(/\\d+/)[0]")
    assert (int(red) < 80) == dark
    assert small.errors == []


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of twenty scans of 256 x 256 x 24 voxels with noise; skips where there is no NiiVue to be in it."""
    if viewer.find_niivue() is None:
        pytest.skip("NiiVue is not there: `make viewer`")
    array = head(lesion=True, shape=(256, 256, 24))
    array[array > 0] += np.random.default_rng(0).normal(0, 2, int((array > 0).sum()))
    one = result("noisy", lesion=True, array=array, affine=SCANNER)
    many = [replace(one, record=one.record.model_copy(update={"case": f"case-{index}"})) for index in range(20)]
    path = tmp_path_factory.mktemp("twenty") / "report.html"
    write(path, many)
    return path


def test_twenty_cases_are_less_than_25_mb_and_all_have_the_viewer(twenty: Path) -> None:
    assert twenty.stat().st_size < 25_000_000
    assert twenty.read_text().count("Open in the viewer") == 20


def test_the_first_of_twenty_cases_is_seen_within_two_seconds(page: Page, twenty: Path) -> None:
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        pytest.skip("the machine is busy: NO TIME IS MEASURED")
    page.look()
    seconds = []
    for attempt in range(3):
        page.open(f"{twenty.as_uri()}?{attempt}")
        begun = page.evaluate("performance.now()")
        page.click("#case-1 button[data-view]")
        page.until(READY)
        seconds.append((page.evaluate(TIMES) + page.evaluate(SHOWN) - begun) / 1000)
        if seconds[-1] < 2:
            return
    pytest.fail(f"seconds: {seconds}")


@pytest.mark.parametrize(("shape", "spacing"), [((150, 100, 60), (2, 2, 6)), ((100, 100, 90), (1, 1, 1))])
def test_the_viewer_counts_slices_as_the_finding_does(
    page: Page, tmp_path: Path, shape: tuple[int, int, int], spacing: tuple[float, ...]
) -> None:
    """Also where the viewer has one slice for several."""
    array = head(shape=shape)
    array[40:60, 40:60, 21:34] = 160
    ill = result("many", lesion=True, array=array, affine=np.diag([-1.0, 1, -1, 1]) * [*spacing, 1])
    page.look()
    page.open(write(tmp_path / "report.html", [ill]))
    page.click("button[data-mm]")
    page.until(READY)
    words = page.evaluate(PLACE)
    number, count = words.partition("slice ")[2].partition(",")[0].split(" of ")
    assert int(count) == shape[2]
    assert abs(int(number) - 28) <= 1, words  # the middle one of slices 22 to 34


def test_what_does_not_fit_is_left_out_of_the_lowest_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [result("well", lesion=False), result("ill", lesion=True)]
    needed = sum(4 * len(one.picture or b"") // 3 for one in cases) + 4 * max(one.volumes.size for one in cases) // 3
    monkeypatch.setattr(shown, "_MOST_BYTES", needed + 10)
    assert [item.result.volumes is not None for item in show(cases, Scripts("", ""))] == [False, True]
    assert [item.result.volumes for item in show(cases, None)] == [None, None]


def test_only_the_highest_scores_keep_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_module, "VIEWED", 1)
    cases = [result("ill", lesion=True), result("well", lesion=False)]
    spare_volumes(cases)
    assert [one.volumes is not None for one in cases] == [True, False]


def test_detect_takes_the_viewer_where_it_is(
    healthytwin, fake_bundle: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, count in (("none", 0), (None, 2)):
        with monkeypatch.context() as patch:
            if place is not None:
                patch.setenv(viewer.VARIABLE, str(tmp_path / place))
            elif viewer.find_niivue() is None:
                pytest.skip("NiiVue is not there: `make viewer`")
            assert healthytwin("detect", scans, "-o", tmp_path / "out").exit_code == 0
            assert (tmp_path / "out" / "report.html").read_text().count("Open in the viewer") == count
