"""From a source to jobs: every content once, under the name of its format; a broken datalist is nobody's fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from archive import Bench
from bright import head, write_nifti
from typer.testing import Result

from pipelines.reprocess.ledger.ledger import State


def detached(path: Path, array: np.ndarray, suffix: str) -> Path:
    """A header with its voxels beside it."""
    path.mkdir(parents=True)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array.astype(np.int16)), str(path / f"scan{suffix}"))
    return path / f"scan{suffix}"


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
def test_voxels_beside_a_header_belong_to_the_content(bench: Bench, tmp_path: Path, suffix: str) -> None:
    one = detached(tmp_path / "in" / "a", head(), suffix)
    two = detached(tmp_path / "in" / "b", head(lesion=True), suffix)
    assert one.read_bytes() == two.read_bytes()
    before = {task.job.key for task in bench.plan(tmp_path / "in").tasks()}
    assert len(before) == 2
    for file in one.parent.glob("scan.*raw"):
        file.write_bytes(b"\7\7" + file.read_bytes()[2:])
    assert len({task.job.key for task in bench.plan(tmp_path / "in").tasks()} - before) == 1


def test_a_job_says_of_what_format_its_input_is(bench: Bench, tmp_path: Path) -> None:
    kinds = {".nrrd": "nrrd", ".mha": "metaimage", ".nii.gz": "nifti"}
    for suffix, kind in kinds.items():
        path = detached(tmp_path / suffix, head(), suffix)
        for place in (path, path.parent):
            assert [task.job.kind for task in bench.plan(place).tasks()] == [kind]


@pytest.mark.parametrize("content", ["{", '{"test": 3}', '{"training": [{"label": "a"}]}'])
def test_a_broken_datalist_ends_the_run_and_withdraws_nothing(
    healthytwin: Callable[..., Result], identity_bundle: Path, tmp_path: Path, content: str
) -> None:
    write_nifti(tmp_path / "in" / "ill.nii.gz", head(lesion=True))
    (tmp_path / "in" / "broken.nii.gz").write_bytes(b"no image")
    arguments = ("reprocess", tmp_path / "in", "-o", tmp_path / "out", "--bundle", identity_bundle)
    (tmp_path / "in" / "dataset.json").write_text(content)
    done = healthytwin(*arguments)
    assert done.exit_code == 2, done.output
    assert "dataset.json" in done.stderr
    assert "dataset.json" in healthytwin(*arguments, "--dry-run").stderr


def test_a_broken_datalist_leaves_quarantined_jobs_alone(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.nii.gz").write_bytes(b"no image")
    plan = bench.plan(tmp_path / "in")
    for task in plan.tasks():
        bench.ledger.enter(task.job, code=task.code, reason=task.reason)
    bench.ledger.settle(plan.name, plan.snapshot(), plan.keys, plan.skipped)
    (tmp_path / "in" / "dataset.json").write_text("{")
    with pytest.raises(Exception, match=r"dataset\.json.*JSON"):
        list(bench.plan(tmp_path / "in").tasks())
    assert [row["state"] for row in bench.ledger.rows()] == [State.QUARANTINED.value]


def test_what_is_passed_over_is_counted_without_its_name(bench: Bench, source: Path) -> None:
    (source / "ZAPHODSON.txt").write_text("words")
    plan = bench.plan(source)
    assert len(list(plan.tasks())) == 3
    assert plan.passed_over == "passed over: 1 file that is not an image (.txt 1)"
