"""The site file: checked before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.problems import CommandError
from pipelines.reprocess.site import Site, load_site


def test_a_site_file_and_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("series: {modalities: [MR], min_slices: 10}\nlimits: {attempts: 2}\n")
    site = load_site(path)
    assert (site.series.modalities, site.series.min_slices, site.limits.attempts) == (["MR"], 10, 2)
    assert site.outputs.seg
    path.write_text("")
    assert load_site(path) == load_site(None) == Site()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("limits: {attempts: 0}", "limits.attempts"),
        ("limit: {}", "limit: Extra inputs"),
        ("series: {modalities: [XY]}", "series.modalities.0"),
        ("- a", "file: Input should be"),
        ("a: [", "cannot be read as a site file"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "site.yaml").write_text(text)
    with pytest.raises(CommandError, match=words):
        load_site(tmp_path / "site.yaml")
    with pytest.raises(CommandError, match=r"gone.yaml"):
        load_site(tmp_path / "gone.yaml")


def test_only_what_decides_a_result_makes_another_configuration() -> None:
    site = Site()
    same = [{"limits": {"attempts": 9}}, {"device": "cpu"}, {"series": {"min_slices": 5}}]
    other = [{"series": {"allow_gaps": True}}, {"outputs": {"seg": False}}]
    assert {Site.model_validate(told).configuration for told in same} == {site.configuration}
    assert site.configuration not in {Site.model_validate(told).configuration for told in other}
