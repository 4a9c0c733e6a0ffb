"""One worker on one task after the other: outputs, reasons, and nothing of a patient."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
from archive import FAMILY_NAME, Bench, dicom_series
from bright import BrightIsAbnormal, head, write_nifti
from PIL import Image

from pipelines.reprocess.archive.store import MANIFEST, Store
from pipelines.reprocess.crew.worker import STAGES
from pipelines.reprocess.ledger.ledger import FILE, State
from pipelines.reprocess.site import Site

Array = np.ndarray


def folder_of(bench: Bench, **where: object) -> tuple[Path, dict]:
    (row,) = [r for r in bench.ledger.rows(State.DONE) if all(r[name] == value for name, value in where.items())]
    return bench.archive / "cases" / row["key"][:20], row


def world(mask: Array, affine: Array) -> Array:
    """Positions of a mask's voxels, in order."""
    places = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    return places[np.lexsort(places.round(3).T)]


def test_all_outputs_of_a_dicom_series_agree(bench: Bench, source: Path) -> None:
    assert [outcome.state for outcome in bench.work(source)] == [State.DONE] * 3
    folder, row = folder_of(bench, kind="dicom", lesions=1)
    assert {path.name for path in folder.iterdir()} == {*row["outputs"].values(), MANIFEST}
    views = {"view", "view_score", "view_twin"}
    assert set(row["outputs"]) == {"mask", "score", "finding", "picture", *views, "seg", "sr"}
    mask = nib.load(folder / row["outputs"]["mask"])
    seg = hd.seg.segread(folder / row["outputs"]["seg"])
    volume = seg.get_volume(combine_segments=False, segment_numbers=[1])
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    np.testing.assert_allclose(
        world(np.squeeze(volume.array) > 0, lps), world(np.asarray(mask.dataobj) > 0, mask.affine), atol=1e-3
    )
    report = hd.sr.srread(folder / row["outputs"]["sr"])
    (whole,) = report.content.get_image_measurement_groups()
    (lesion,) = report.content.get_volumetric_roi_measurement_groups()
    told = {m.name.value: m.value for m in (*whole.get_measurements(), *lesion.get_measurements())}
    finding = json.loads((folder / row["outputs"]["finding"]).read_text())
    assert told["SCORE"] == pytest.approx(finding["score"], abs=1e-6)
    assert told["118565006"] == pytest.approx(finding["lesions"][0]["volume_ml"], abs=1e-6)
    assert finding["case"] == row["name"]


def test_dicom_objects_belong_to_the_study_and_name_algorithm_and_source(bench: Bench, source: Path) -> None:
    bench.work(source)
    folder, row = folder_of(bench, kind="dicom", lesions=1)
    (image, *_) = sorted((source / f"{FAMILY_NAME}_JANE" / "flair").iterdir())
    first = pydicom.dcmread(image)
    seg, report = (pydicom.dcmread(folder / row["outputs"][kind]) for kind in ("seg", "sr"))
    for made in (seg, report):
        assert (made.StudyInstanceUID, made.PatientName) == (first.StudyInstanceUID, first.PatientName)
        assert made.SeriesInstanceUID != first.SeriesInstanceUID
    assert seg.FrameOfReferenceUID == first.FrameOfReferenceUID
    segment = seg.SegmentSequence[0]
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "bright"
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == first.SeriesInstanceUID
    referenced = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert seg.SeriesInstanceUID in [series.SeriesInstanceUID for series in referenced]


def test_an_empty_mask_is_a_success_without_a_segmentation(bench: Bench, source: Path) -> None:
    bench.work(source)
    folder, row = folder_of(bench, kind="dicom", lesions=0)
    assert "seg" not in row["outputs"]
    (whole,) = hd.sr.srread(folder / row["outputs"]["sr"]).content.get_image_measurement_groups()
    assert [e.value.value for e in whole.get_qualitative_evaluations()] == ["NOTABNORMAL"]


def test_the_preview_goes_into_the_study_as_a_secondary_capture_on_request(bench: Bench, source: Path) -> None:
    bench.site = Site.model_validate({"outputs": {"sc": True}})
    bench.work(source)
    folder, row = folder_of(bench, kind="dicom", lesions=1)
    capture = pydicom.dcmread(folder / row["outputs"]["sc"])
    first = pydicom.dcmread(min((source / f"{FAMILY_NAME}_JANE" / "flair").iterdir()))
    picture = np.asarray(Image.open(folder / row["outputs"]["picture"]).convert("RGB"))
    np.testing.assert_array_equal(capture.pixel_array, picture)
    assert (capture.StudyInstanceUID, capture.PatientName) == (first.StudyInstanceUID, first.PatientName)
    assert (capture.Modality, capture.SeriesNumber, list(capture.PatientOrientation)) == ("OT", 9102, ["L", "P"])
    _, nifti = folder_of(bench, kind="nifti")
    assert "sc" not in nifti["outputs"]


def test_made_again_the_objects_have_the_same_uids_and_another_model_gives_others(
    bench: Bench, source: Path, tmp_path: Path
) -> None:
    from data_prep import Volume
    from pipelines.outputs.dicom import DicomWriter

    (task, *_) = [task for task in bench.plan(source).tasks() if task.case.series and task.case.series.stack]
    lesion = Volume(head(lesion=True), task.case.series.stack.affine, "a")
    exam = BrightIsAbnormal().examine(lesion, case="a")
    other = next(iter(bench.plan(source, version="0.2.0").tasks())).job.key
    uids = []
    for key in (task.job.key, task.job.key, other):
        writer = DicomWriter(task.case.series.stack, exam, key=key, rules=Site().outputs)
        seg = writer.segmentation()
        report = writer.report(seg)
        uids.append((seg.SOPInstanceUID, seg.SeriesInstanceUID, report.SOPInstanceUID, report.SeriesInstanceUID))
    assert uids[0] == uids[1]
    assert not set(uids[0]) & set(uids[2])


def test_nothing_of_a_patient_is_in_ledger_names_or_files(bench: Bench, source: Path) -> None:
    write_nifti(source / f"{FAMILY_NAME}_broken.nii.gz", np.full((8, 8, 4), np.nan, np.float32))
    (source / f"{FAMILY_NAME}_text.nii.gz").write_text(f"{FAMILY_NAME} is no image")

    class Telltale(BrightIsAbnormal):
        def examine(self, volume, *, case=""):
            if volume.series_uid is None:
                raise RuntimeError(volume.source)
            return super().examine(volume, case=case)

    worker = bench.worker(Telltale())
    for task in bench.enter(source):
        worker.run(task)
    codes = {row["code"] for row in bench.ledger.rows()}
    assert codes == {None, "NAN", "NOT_AN_IMAGE", "RuntimeError"}
    bench.ledger.close()
    assert (bench.archive / FILE).is_file()
    for path in bench.archive.rglob("*"):
        assert FAMILY_NAME not in str(path)
        if path.is_file() and path.suffix != ".dcm":  # DICOM objects go into the patient's own study
            content = path.read_bytes()
            content += nib.load(path).header.binaryblock if path.name.endswith(".nii.gz") else b""
            for name in (FAMILY_NAME, FAMILY_NAME.lower(), "JANE"):
                assert name.encode() not in content, path


@pytest.mark.parametrize("stage", STAGES[:-1])
def test_a_worker_that_lost_its_lease_publishes_nothing(bench: Bench, source: Path, stage: str) -> None:
    (task, *_) = bench.enter(source)
    taken: list[object] = []

    def steal(now: str) -> None:
        if now == stage and stage != "published":
            (lease,) = bench.ledger.leases()
            bench.ledger.fail(lease, code="WORKER_DIED", reason="", most=3)
            taken.append(bench.ledger.claim(task.job.key, "another"))

    outcome = bench.worker(on_stage=steal).run(task)
    if stage == "published":  # within the commit, where nobody can take it
        assert outcome.state is State.DONE
        return
    assert taken
    assert outcome.state is None
    assert bench.ledger.states([task.job.key])[task.job.key] is State.RUNNING
    assert not (bench.archive / "cases" / task.job.key[:20]).exists()
    assert list((bench.archive / ".partial").iterdir()) == []


def test_what_was_published_and_not_committed_is_taken_as_it_is(bench: Bench, source: Path) -> None:
    (task, *_) = bench.enter(source)

    class PowerCut(BaseException):
        pass

    def cut(stage: str) -> None:
        if stage == "published":
            raise PowerCut

    with pytest.raises(PowerCut):
        bench.worker(on_stage=cut).run(task)
    (lease,) = bench.ledger.leases()
    bench.ledger.fail(lease, code="WORKER_DIED", reason="", most=3)

    assert bench.worker(Never()).run(task).state is State.DONE
    _, row = folder_of(bench)
    assert (row["attempts"], row["score"] is not None) == (2, True)


def test_files_that_change_while_they_are_read_are_not_taken(bench: Bench, source: Path) -> None:
    (task, *_) = [task for task in bench.enter(source) if task.job.kind == "nifti"]
    write_nifti(Path(task.case.image), head())
    assert bench.worker().run(task).state is State.QUARANTINED
    assert bench.ledger.rows(State.QUARANTINED)[0]["code"] == "CHANGED"
    assert [outcome.state for outcome in bench.work(source) if outcome.state] == [State.DONE] * 3


def without_study(folder: Path) -> Path:
    for path in folder.iterdir():
        image = pydicom.dcmread(path)
        del image.StudyInstanceUID
        image.save_as(path)
    return folder


def test_a_series_that_takes_no_dicom_object_keeps_its_result(bench: Bench, tmp_path: Path) -> None:
    folder = without_study(dicom_series(tmp_path / "source", lesion=True))
    assert [outcome.state for outcome in bench.work(folder)] == [State.DONE]
    place, row = folder_of(bench)
    assert row["flags"] == ["seg_failed:StudyInstanceUID", "sr_failed:StudyInstanceUID"]
    assert {"mask", "score", "finding", "picture", "view"} < set(row["outputs"])
    assert json.loads((place / row["outputs"]["finding"]).read_text())["flags"] == row["flags"]


class Never(BrightIsAbnormal):
    def examine(self, volume, *, case=""):
        raise AssertionError


def test_other_software_makes_what_could_not_be_made_and_examines_nothing(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.outputs.header import SourceHeader
    from pipelines.reprocess.archive import care, outputs

    folder = without_study(dicom_series(tmp_path / "source", lesion=True))
    (task,) = bench.enter(folder)
    bench.worker().run(task)
    place, row = folder_of(bench)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    store = Store(bench.archive)
    assert care.to_make_again(store, [row]) == set()
    monkeypatch.setattr(outputs, "ability", lambda: "another")
    assert care.to_make_again(store, [row]) == {task.job.key}
    monkeypatch.setattr(SourceHeader, "_study", lambda _: "1.2.3")
    assert bench.ledger.reopen(task.job.key) is State.PENDING
    assert bench.worker(Never()).run(task).state is State.DONE
    place, row = folder_of(bench)
    assert row["flags"] == []
    assert {"seg", "sr"} < set(row["outputs"])
    assert pydicom.dcmread(place / row["outputs"]["seg"]).StudyInstanceUID == "1.2.3"
    for kind in ("view", "view_twin", "picture"):
        assert (place / row["outputs"][kind]).read_bytes() == before[row["outputs"][kind]]


def test_what_cannot_be_made_again_leaves_what_was_there(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.reprocess.archive import outputs

    folder = without_study(dicom_series(tmp_path / "source", lesion=True))
    (task,) = bench.enter(folder)
    bench.worker().run(task)
    monkeypatch.setattr(outputs, "ability", lambda: "another")
    (min(folder.iterdir())).unlink()
    bench.ledger.reopen(task.job.key)
    assert bench.worker(Never()).run(task).state is State.DONE
    place, row = folder_of(bench)
    assert (place / row["outputs"]["mask"]).is_file()


def test_what_ends_workers_beside_the_result_is_left_out_at_the_last_attempt(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.outputs import write

    (task,) = bench.enter(dicom_series(tmp_path / "source", lesion=True))

    class Crash(BaseException):
        pass

    def crash(examined: object, folder: Path, rows: Sequence) -> tuple[dict, dict]:
        if rows:
            raise Crash
        return {}, {}

    monkeypatch.setattr(write, "write_extras", crash)
    for _ in range(2):
        with pytest.raises(Crash):
            bench.worker().run(task)
        (lease,) = bench.ledger.leases()
        bench.ledger.fail(lease, code="WORKER_DIED", reason="", most=3)
    assert bench.worker().run(task).state is State.DONE
    _, row = folder_of(bench)
    assert set(row["outputs"]) == {"mask", "score", "finding"}
    assert row["flags"] == [f"{what}_failed:WORKER_DIED" for what in ("picture", "viewer", "seg", "sr")]
