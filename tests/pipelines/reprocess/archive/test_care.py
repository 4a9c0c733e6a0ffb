"""Results that are gone or changed are found and made again; a case leads to its study where the ledger is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from archive import FAMILY_NAME, Bench, dicom_series
from typer.testing import Result

from pipelines.outputs.origin import Origin
from pipelines.reprocess.archive.care import to_make_again, verify
from pipelines.reprocess.archive.store import MANIFEST, Store
from pipelines.reprocess.ledger.ledger import State

Run = Callable[..., Result]


def test_missing_and_changed_results_are_found_and_made_again(bench: Bench, source: Path, healthytwin: Run) -> None:
    bench.work(source)
    store = Store(bench.archive)
    one, two, three = bench.ledger.rows(State.DONE)
    assert verify(store, bench.ledger.rows(State.DONE)) == []
    assert healthytwin("verify", bench.archive).exit_code == 0
    before = {row["key"]: (store.place(row["key"]) / row["outputs"]["mask"]).read_bytes() for row in (one, two)}
    (store.place(one["key"]) / one["outputs"]["mask"]).unlink()
    (store.place(two["key"]) / two["outputs"]["score"]).write_bytes(b"rot")
    done = healthytwin("verify", bench.archive, "--json")
    assert done.exit_code == 3
    faults = {(fault["key"], fault["file"], fault["fault"]) for fault in json.loads(done.stdout)["faults"]}
    assert faults == {
        (one["key"], one["outputs"]["mask"], "missing"),
        (two["key"], two["outputs"]["score"], "changed"),
    }
    again = to_make_again(store, bench.ledger.rows(State.DONE))
    assert again == {one["key"], two["key"]}
    for key in again:
        bench.ledger.reopen(key)
    bench.work(source)
    assert verify(store, bench.ledger.rows(State.DONE)) == []
    assert to_make_again(store, [three]) == set()
    for key, mask in before.items():
        (row,) = [row for row in bench.ledger.rows(State.DONE) if row["key"] == key]
        assert (store.place(key) / row["outputs"]["mask"]).read_bytes() == mask


def test_a_result_whose_folder_is_gone_is_made_again_without_verify(bench: Bench, source: Path) -> None:
    bench.work(source)
    store = Store(bench.archive)
    row = bench.ledger.rows(State.DONE)[0]
    (store.place(row["key"]) / MANIFEST).unlink()
    assert to_make_again(store, bench.ledger.rows(State.DONE)) == {row["key"]}


def test_the_ledger_leads_from_a_case_to_its_study(bench: Bench, tmp_path: Path, healthytwin: Run) -> None:
    folder = dicom_series(tmp_path / "source")
    first = pydicom.dcmread(min(folder.iterdir()))
    (task,) = bench.enter(folder)
    origin = Origin.of(task.case)
    assert (origin.study, origin.series) == (first.StudyInstanceUID, first.SeriesInstanceUID)
    assert (origin.sequence, origin.slices, origin.size) == ("FLAIR", 10, "2 x 2 x 6 mm")
    told = {"study": origin.study, "series": origin.series, "sequence": origin.sequence}
    bench.ledger.note_origin(task.job.key, lambda: {**told, "voxel_mm": origin.size, "slices": origin.slices})
    bench.worker().run(task)
    done = healthytwin("where", bench.archive, task.job.name, "--json")
    (case,) = json.loads(done.stdout)["cases"]
    assert (case["study"], case["series"], case["slices"]) == (origin.study, origin.series, 10)
    assert first.StudyInstanceUID in healthytwin("where", bench.archive, task.job.key[:12]).stdout
    assert healthytwin("where", bench.archive, "nobody").exit_code == 2
    export = tmp_path / "jobs.csv"
    assert healthytwin("export", bench.archive, "-o", export).exit_code == 0
    assert '"FLAIR","2 x 2 x 6 mm",10' in export.read_text()


@pytest.mark.parametrize("text", [FAMILY_NAME, f"{FAMILY_NAME} t2 flair"])
def test_no_name_gets_into_the_sequence(tmp_path: Path, text: str, bench: Bench) -> None:
    folder = dicom_series(tmp_path / "source")
    for path in folder.iterdir():
        image = pydicom.dcmread(path)
        image.SeriesDescription = text
        image.save_as(path)
    (task,) = bench.enter(folder)
    assert FAMILY_NAME not in Origin.of(task.case).sequence
