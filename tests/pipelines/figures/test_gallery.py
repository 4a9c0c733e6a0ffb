"""The gallery shows every case with its finding in words, and the first one is the README's picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from bright import AFFINE, BrightIsAbnormal, head

from data_prep import Case, Volume
from pipelines.detect.case import summarise
from pipelines.figures import gallery
from pipelines.record import RunRecord
from pipelines.report.result import Result


def result(name: str, *, lesion: bool) -> Result:
    volume = Volume(array=head(lesion=lesion), affine=AFFINE, source=f"{name}.nii.gz")
    exam = BrightIsAbnormal().examine(volume, case=name)
    case = Case(name=name, image=volume.source)
    return summarise(case, volume, exam, outputs={}, pictures=True, truth=volume.array > 100)


def test_the_gallery(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = [result("lesion-01", lesion=True), result("healthy-01", lesion=False)]
    run = RunRecord(command="demo", output="out")
    monkeypatch.setattr(gallery, "examine_cohort", lambda _: (run, results))
    words = gallery.write_gallery(tmp_path).read_text()
    assert "## lesion-01: a planted lesion of 9.6 ml, outlined" in words
    assert "![healthy-01, no lesion. Nothing abnormal found](gallery/healthy-01.png)" in words
    assert "Dice of the outline with the planted lesion: 1.00." in words
    assert (
        (tmp_path / "demo.png").read_bytes() == results[0].picture == (tmp_path / "gallery/lesion-01.png").read_bytes()
    )
