"""`healthytwin reprocess` and what goes with it, with real worker processes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from archive import FAMILY_NAME, Bench, dicom_series
from bright import head, write_nifti
from typer.testing import Result

from pipelines.problems import CommandError
from pipelines.reprocess import run
from pipelines.reprocess.crew import batch
from pipelines.reprocess.ledger.ledger import Ledger, State
from pipelines.reprocess.run import reprocess

Run = Callable[..., Result]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever starts a worker fails."""

    def refuse(*_: object) -> None:
        pytest.fail("a worker was started")

    monkeypatch.setattr(batch, "WorkerProcess", refuse)


def test_one_corrupt_study_is_quarantined_and_a_second_run_is_free(
    healthytwin: Run, identity_bundle: Path, source: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / f"{FAMILY_NAME}_2.nii.gz").write_bytes(b"no image at all")
    arguments = ("reprocess", source, "-o", archive, "--bundle", identity_bundle)
    rehearsed = healthytwin(*arguments, "--dry-run", "--json")
    assert json.loads(rehearsed.stdout)["examined"] == 3
    assert not archive.exists()
    done = healthytwin(*arguments, "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["jobs"]["done"], told["examined"]) == (3, 3, 3)
    assert [(refused["code"], refused["reason"]) for refused in told["quarantined"]] == [
        ("NOT_AN_IMAGE", "a file that was named, or has the name of an image, is not an image")
    ]
    assert FAMILY_NAME not in done.output

    monkeypatch.setattr(batch, "WorkerProcess", lambda *_: pytest.fail("a worker was started"))
    monkeypatch.setattr(run, "Batch", lambda *_, **__: pytest.fail("the gate was asked again"))
    again = healthytwin(*arguments, "--json")
    assert (again.exit_code, json.loads(again.stdout)["examined"]) == (3, 0)
    assert json.loads(healthytwin("status", archive, "--json").stdout)["jobs"]["done"] == 3
    assert json.loads(healthytwin("retry", archive, "--json").stdout) == {"released": 0}
    (refused,) = json.loads(healthytwin("quarantine", "list", archive, "--json").stdout)["quarantined"]
    assert refused["remedy"] == "Export it again, or remove it from the source."
    assert healthytwin("quarantine", "release", archive, "nosuchcase").exit_code == 2
    assert "1 cases" in healthytwin("quarantine", "release", archive, refused["case"]).stdout
    assert "pending" in healthytwin("status", archive).stdout


def test_what_a_second_run_asks_of_the_model_loads_no_network(identity_bundle: Path) -> None:
    """Importing torch and MONAI takes longer than a look at 5,000 jobs that are done."""
    program = (
        "import sys; from pathlib import Path; from pipelines.reprocess.plan import Model; "
        "from pipelines.reprocess.site import Site; from pipelines.reprocess.archive.drift import drift; "
        "model = Model.of(Path(sys.argv[1]), Site()); drift(model.calibration, [], model.configuration); "
        "sys.exit(', '.join({'torch', 'monai', 'scipy'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program, identity_bundle], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_new_files_and_a_new_model_are_new_work_and_nothing_else_is(bench: Bench, source: Path) -> None:
    bench.work(source)
    assert bench.work(source) == []
    write_nifti(source / "new.nii.gz", head(lesion=True)[::-1])
    (source / "copy").mkdir()
    (source / "copy" / "same.nii.gz").write_bytes((source / "c" / f"{FAMILY_NAME}.nii.gz").read_bytes())
    assert [outcome.state for outcome in bench.work(source)] == [State.DONE]
    tasks = list(bench.plan(source, weights_sha256="ef" * 32).tasks())
    assert {bench.ledger.enter(task.job) for task in tasks} == {State.PENDING}
    assert len(tasks) == 4


def test_an_unchanged_file_is_not_read_again(bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.reprocess.ledger import hashes

    keys = [task.job.key for task in bench.plan(source).tasks()]
    looks = bench.plan(source).snapshot()
    for name in ("_digest", "_pixels"):
        monkeypatch.setattr(hashes, name, lambda source: pytest.fail(f"{source} was read again"))
    assert [task.job.key for task in bench.plan(source).tasks()] == keys
    assert bench.plan(source).snapshot() == looks
    write_nifti(source / "c" / f"{FAMILY_NAME}.nii.gz", head())
    assert bench.plan(source).snapshot() != looks


def test_a_dicom_series_is_one_input_however_its_headers_are_written(bench: Bench, tmp_path: Path) -> None:
    import shutil

    from pydicom import dcmread
    from pydicom.uid import ImplicitVRLittleEndian

    one = dicom_series(tmp_path / "one", lesion=True)
    two, three = (Path(shutil.copytree(one, tmp_path / name)) for name in ("two", "three"))
    for path in two.iterdir():
        image = dcmread(path)
        image.InstitutionName = "of the archive that it went through"
        image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        image.save_as(path.with_name(f"renamed-{path.name}"), implicit_vr=True, little_endian=True)
        path.unlink()
    image = dcmread(three / "IM0004.dcm")
    image.PixelData = image.PixelData[:-2] + b"\1\0"
    image.save_as(three / "IM0004.dcm")
    keys = [[task.job.key for task in bench.plan(folder).tasks()] for folder in (one, two, three)]
    assert keys[0] == keys[1] != keys[2]


def test_rules_of_the_site_decide_what_counts(bench: Bench, source: Path) -> None:
    from pipelines.reprocess.site import Site

    bench.site = Site.model_validate({"series": {"min_slices": 11}})
    plan = bench.plan(source)
    assert list(plan.tasks()) == []
    assert plan.skipped == {"TOO_FEW_SLICES": 3}


def test_export(healthytwin: Run, bench: Bench, source: Path, tmp_path: Path) -> None:
    import pyarrow.parquet

    bench.work(source)
    assert healthytwin("export", bench.archive, "-o", tmp_path / "all.csv").exit_code == 0
    assert healthytwin("export", bench.archive, "-o", tmp_path / "all.parquet").exit_code == 0
    rows = list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))
    table = pyarrow.parquet.read_table(tmp_path / "all.parquet").to_pylist()
    assert [row["key"] for row in rows] == [row["key"] for row in table]
    assert [float(row["score"]) for row in rows] == [row["score"] for row in table]
    assert {row["state"] for row in table} == {"done"}
    assert "must end in" in healthytwin("export", bench.archive, "-o", tmp_path / "all.xlsx").stderr
    assert healthytwin("export", bench.archive, "-o", tmp_path / "gone" / "all.csv").exit_code == 2


def test_what_cannot_be_worked_with_is_told(
    healthytwin: Run, identity_bundle: Path, source: Path, archive: Path, no_workers: None
) -> None:
    bundle = ("--bundle", identity_bundle)
    assert healthytwin("reprocess", source / "gone", "-o", archive, *bundle).exit_code == 2
    inside = healthytwin("reprocess", source, "-o", source / "out", *bundle)
    assert inside.exit_code == 2
    assert "lies in the source" in inside.stderr
    archive.mkdir()
    (archive / "none").mkdir()
    assert healthytwin("reprocess", archive / "none", "-o", archive / "out", *bundle).exit_code == 4
    assert healthytwin("status", source).exit_code == 2


def test_a_full_disk_stops_new_work_and_loses_nothing(
    identity_bundle: Path, source: Path, archive: Path, tmp_path: Path, no_workers: None
) -> None:
    (tmp_path / "site.yaml").write_text("limits: {free_gb: 1000000}")
    with pytest.raises(CommandError, match=r"keeps 1e\+06 GB free"):
        reprocess(source, archive, bundle=identity_bundle, site=tmp_path / "site.yaml")
    ledger = Ledger.of(archive)
    counts = {state: number for state, number in ledger.counts().items() if number}
    assert set(counts) == {"pending"}  # what was not planned yet, the next run finds
    ledger.close()


def test_status_can_be_watched_until_all_is_done(
    healthytwin: Run, bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.terminal import progress

    tasks = bench.enter(source)
    worker, slept = bench.worker(), []

    def work_instead(seconds: float) -> None:
        slept.append(seconds)
        worker.run(tasks.pop())

    monkeypatch.setattr(progress.time, "sleep", work_instead)
    watched = healthytwin("status", bench.archive, "--watch")
    assert (watched.exit_code, slept) == (0, [2.0, 2.0, 2.0])
    assert "3" in watched.stdout
