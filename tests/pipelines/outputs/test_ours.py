"""No command writes into its source, or over a file that it did not write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from bright import head, write_nifti
from typer.testing import Result

from pipelines.outputs.ours import check_apart, check_ours, is_ours
from pipelines.problems import CommandError

Run = Callable[..., Result]


def test_a_hand_made_mask_survives(healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path) -> None:
    inside = healthytwin("detect", scans, "-o", scans)
    assert (inside.exit_code, list(scans.glob("*.json"))) == (2, [])
    assert "lies in the source" in inside.stderr
    out = tmp_path / "out"
    mask = write_nifti(out / "ill_mask.nii.gz", head())
    before = mask.read_bytes()
    done = healthytwin("detect", scans, "-o", out)
    assert done.exit_code == 2
    assert "ill_mask.nii.gz" in done.stderr
    assert mask.read_bytes() == before
    assert [path.name for path in out.iterdir()] == ["ill_mask.nii.gz"]


def test_what_it_wrote_is_written_again_unless_somebody_changed_it(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        assert healthytwin("detect", scans, "-o", out).exit_code == 0
    (out / "run.json").unlink()  # as where a run was stopped
    assert healthytwin("detect", scans, "-o", out).exit_code == 0
    write_nifti(out / "ill_mask.nii.gz", head(lesion=True))
    changed = healthytwin("detect", scans, "-o", out)
    assert (changed.exit_code, "ill_mask.nii.gz" in changed.stderr) == (2, True)


@pytest.mark.parametrize("name", ["run.json", "report.html"])
def test_other_files_of_these_names_stay(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text('{"mine": true}')
    assert healthytwin("detect", scans, "-o", tmp_path / "out").exit_code == 2
    assert json.loads((tmp_path / "out" / name).read_text()) == {"mine": True}


def test_a_link_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"schema_version": "1", "bundle": {}}')
    (tmp_path / "b.json").symlink_to(tmp_path / "a.json")
    assert (is_ours(tmp_path / "a.json"), is_ours(tmp_path / "b.json")) == (True, False)
    with pytest.raises(CommandError, match=r"b\.json"):
        check_ours(tmp_path, ["a.json", "b.json"])


def test_a_datalist_keeps_its_folder_to_itself(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("{}")
    check_apart([tmp_path / "dataset.json"], tmp_path / "out")
    for source, output in ((tmp_path / "dataset.json", tmp_path), (tmp_path, tmp_path / "deep" / "out")):
        with pytest.raises(CommandError, match="lies in the source"):
            check_apart([source], output)
