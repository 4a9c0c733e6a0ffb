"""The HTML report: complete, escaped, self-contained."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bright import AFFINE, BrightIsAbnormal, head, write_nifti
from PIL import Image
from typer.testing import Result as CommandResult

from data_prep import Case, Volume
from pipelines.detect.case import summarise
from pipelines.record import CaseRecord, RunRecord
from pipelines.report.cases import chance, verdict
from pipelines.report.picture import _HALO, FOUND, TRUE, draw
from pipelines.report.result import Result
from pipelines.report.run import write_report

IMAGES = re.compile(r'<img src="data:image/png;base64,([A-Za-z0-9+/=]+)" alt="([^"]*)"')
ORANGE, CYAN = (255, 176, 0), (53, 200, 255)


def result(*, lesion: bool, name: str = "case", truth: Path | None = None) -> Result:
    volume = Volume(array=head(lesion=lesion), affine=AFFINE, source=f"/data/Doe^Jane/{name}.nii.gz")
    case = Case(name=name, image=volume.source, label=None if truth is None else str(truth))
    exam = BrightIsAbnormal().examine(volume, case=name)
    return summarise(case, volume, exam, outputs={}, pictures=True, truths=truth is not None)


def page(tmp_path: Path, *results: Result, metrics: dict[str, object] | None = None) -> str:
    run = RunRecord(command="detect", output=str(tmp_path), cases=[one.record for one in results], metrics=metrics)
    finding = next((one.finding for one in results if one.finding), None)
    if finding:
        run.bundle = finding.bundle.model_dump()
    return write_report(tmp_path / "report.html", run, results, title="A & B").read_text()


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def outlined(png: bytes, colour: tuple[int, int, int]) -> int:
    """Pixels of a colour in the first of the three rows, the image."""
    image = pixels(png)[: len(pixels(png)) // 3]
    return int((np.abs(image - colour).max(axis=-1) < 25).sum())


def head_size(png: bytes) -> tuple[int, int]:
    """Height and width of the first head of the first row."""
    image = pixels(png)
    tile = image[: len(image) // 3, 40 : image.shape[1] // 4].min(axis=-1) > 90
    tile[:30] = False  # the slice's name
    rows, columns = np.flatnonzero(tile.sum(axis=1) > 20), np.flatnonzero(tile.sum(axis=0) > 20)
    return int(np.ptp(rows)), int(np.ptp(columns))


def test_every_case_has_its_row_and_its_picture(tmp_path: Path) -> None:
    html = page(tmp_path, result(lesion=True, name="ill"), result(lesion=False, name="well"))
    pictures = IMAGES.findall(html)
    assert [("ill" in alt, "well" in alt) for _, alt in pictures] == [(True, False), (False, True)]
    assert all(base64.b64decode(data).startswith(b"\x89PNG") for data, _ in pictures)
    assert "Abnormal: 1 region outlined" in html
    assert "Nothing abnormal found" in html
    assert "9.6 ml" in html
    assert "bright 0.1.0" in html
    assert "abababababababab" in html
    assert "1/10 = 0.100" in html
    assert "Not a medical device" in html


def test_it_fetches_nothing_and_runs_nothing(tmp_path: Path) -> None:
    html = page(tmp_path, result(lesion=True))
    assert "default-src 'none'" in html
    assert not re.search(r"https?://|<script|<link|@import|url\(", html)


def test_what_comes_from_outside_is_escaped(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    failed = CaseRecord.failed(name, "/data/Doe^Jane", code="<b>", reason="bad <i>header</i> in /data/Doe^Jane")
    html = page(tmp_path, result(lesion=True, name=name), Result(record=failed))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "bad &lt;i&gt;header&lt;/i&gt;" in html
    assert "<h1>A &amp; B</h1>" in html


def test_paths_which_may_name_a_patient_are_left_out(tmp_path: Path) -> None:
    failed = CaseRecord.failed("2b9b", "/data/Doe^Jane", code="EMPTY", reason="nothing in /data/Doe^Jane")
    html = page(tmp_path, result(lesion=True), Result(record=failed))
    assert "Doe" not in html
    assert "nothing in 2b9b" in html
    label = CaseRecord.failed("2b9b", "/data/x", code="NAN", reason="/home/Doe Jane/label.nii: NaN in and/or out/in")
    html = page(tmp_path, Result(record=label))
    assert "Doe" not in html
    assert "label.nii: NaN in and/or out/in" in html


def test_only_failures_still_make_a_page(tmp_path: Path) -> None:
    html = page(tmp_path, Result(record=CaseRecord.failed("x", "/x", code="NAN", reason="3 voxels are NaN")))
    assert "3 voxels are NaN" in html
    assert not IMAGES.search(html)


def test_metrics_come_with_their_meaning(tmp_path: Path) -> None:
    metrics = {"voxel_ap": 0.51, "image_auroc": None, "intervals": {"voxel_ap": [0.4, 0.6]}, "failed": []}
    html = page(tmp_path, result(lesion=True), metrics=metrics)
    assert "0.510" in html
    assert "0.400 to 0.600" in html
    assert "average precision over all voxels" in html
    assert "not defined" in html


def test_outline_where_there_is_a_mask_and_only_there() -> None:
    ill, well = result(lesion=True).picture, result(lesion=False).picture
    assert ill is not None
    assert well is not None
    assert outlined(ill, ORANGE) > 100
    assert outlined(well, ORANGE) == 0
    assert len(ill) < 150_000


def test_a_missed_lesion_is_shown_and_named(tmp_path: Path) -> None:
    truth = write_nifti(tmp_path / "truth.nii.gz", (head(lesion=True) > 100).astype(np.uint8))
    missed = result(lesion=False, truth=truth)
    assert missed.picture is not None
    assert outlined(missed.picture, CYAN) > 100
    assert "9.6 ml: missed" in page(tmp_path, missed)


def test_pictures_have_square_millimetres() -> None:
    detector = BrightIsAbnormal()
    for spacing, ratio in (((2.0, 2.0, 9.0), 48 / 40), ((2.0, 4.0, 9.0), 2 * 48 / 40)):
        volume = Volume(array=head(), affine=np.diag([*spacing, 1.0]))
        height, width = head_size(draw(volume, detector.examine(volume)))
        assert height / width == pytest.approx(ratio, rel=0.05)


@pytest.mark.parametrize(
    ("shape", "spacing"), [((300, 4, 5), (1, 1, 5)), ((4, 300, 5), (1, 1, 5)), ((64, 64, 3), (9.0, 0.3, 40))]
)
def test_a_narrow_image_makes_no_endless_picture(shape: tuple[int, int, int], spacing: tuple[float, ...]) -> None:
    array = np.random.default_rng(0).normal(100, 20, shape).astype(np.float32)
    volume = Volume(array=array, affine=np.diag([*spacing, 1.0]))
    drawn = Image.open(io.BytesIO(draw(volume, BrightIsAbnormal().examine(volume))))
    assert 150 < max(drawn.size) <= 9000


def test_a_flat_image_can_be_drawn() -> None:
    flat = Volume(array=np.full((8, 8, 3), 7.0, np.float32), affine=np.eye(4))
    assert draw(flat, BrightIsAbnormal().examine(flat)).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("abnormal", "lesion", "words"),
    [
        (True, True, "Abnormal: 1 region outlined"),
        (True, False, "Abnormal score, no region to outline"),
        (False, True, "Score within the healthy range, 1 region outlined"),
        (False, False, "Nothing abnormal found"),
    ],
)
def test_verdicts(abnormal: bool, lesion: bool, words: str) -> None:
    finding = result(lesion=lesion).finding
    assert finding is not None
    assert verdict(finding.model_copy(update={"abnormal": abnormal})) == words


@pytest.mark.parametrize(
    ("p_value", "words"),
    [
        (0.1, "Above all 9 healthy calibration scans."),
        (0.2, "1 of the 9 healthy calibration scans scores as high or higher."),
        (1.0, "9 of the 9 healthy calibration scans score as high or higher."),
    ],
)
def test_the_p_value_in_words(p_value: float, words: str) -> None:
    finding = result(lesion=True).finding
    assert finding is not None
    assert chance(finding.model_copy(update={"p_value": p_value})) == words


@pytest.mark.parametrize("colour", [FOUND, TRUE])
def test_an_outline_and_its_halo_stand_out_on_every_grey(colour: str) -> None:
    """WCAG's contrast of graphics, 3 : 1, of the line or of the halo beside it; and of the line with its halo."""
    from matplotlib.colors import to_rgb

    def light(rgb: tuple[float, float, float]) -> float:
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722))) + 0.05

    def contrast(one: str, other: tuple[float, float, float]) -> float:
        both = sorted((light(to_rgb(one)), light(other)))
        return both[1] / both[0]

    assert contrast(colour, to_rgb(_HALO)) >= 3
    greys = [(grey / 255,) * 3 for grey in range(256)]
    assert min(max(contrast(colour, grey), contrast(_HALO, grey)) for grey in greys) >= 3


def test_no_folder_of_the_user_is_in_a_report(
    healthytwin: Callable[..., CommandResult], fake_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    write_nifti(scans / "broken.nii.gz", head())
    healthytwin("detect", scans, "-o", tmp_path / "out")
    html = (tmp_path / "out" / "report.html").read_text()
    assert "no kernel for broken" in html
    assert str(tmp_path) not in html
