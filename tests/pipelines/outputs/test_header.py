"""Headers as hospitals write them, made fit: DICOM objects come of them, or the element is named for which none can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from archive import dicom_series
from bright import BrightIsAbnormal
from dicom_maker import write_enhanced

from data_prep import Volume, discover
from pipelines.outputs.dicom import DicomWriter
from pipelines.outputs.header import HeaderError
from pipelines.outputs.rules import OutputRules
from tests.fuzz.headers import written

# pydicom says so while the gate reads a file; in a hospital nobody hears it
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Specific Character Set:UserWarning"),
    pytest.mark.filterwarnings("ignore:Unknown encoding:UserWarning"),
]


def writer_of(folder: Path) -> DicomWriter:
    (series,) = discover(folder)
    assert series.stack is not None, series.reason
    exam = BrightIsAbnormal().examine(series.volume(), case=series.name)
    return DicomWriter(series.stack, exam, key="k", rules=OutputRules())


def changed(folder: Path, changes: dict[str, Any], edit: Callable[[pydicom.Dataset], Any] = lambda _: None) -> Path:
    """A series with elements replaced by bytes that pydicom would not write, or taken out (None)."""
    for path in dicom_series(folder, lesion=True).iterdir():
        image = pydicom.dcmread(path)
        edit(image)
        path.write_bytes(written(image, changes))
    return folder


EMPTY = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"]
EMPTY += ["AccessionNumber", "ReferringPhysicianName", "SliceThickness", "Manufacturer"]


@pytest.mark.parametrize(
    "changes",
    [
        *[pytest.param({keyword: None}, id=f"no {keyword}") for keyword in [*EMPTY, "FrameOfReferenceUID"]],
        pytest.param(dict.fromkeys(EMPTY), id="none of them"),
        pytest.param({"PatientSex": "0000"}, id="PatientSex 0000"),
        pytest.param({"PatientBirthDate": "20240231"}, id="no day of the calendar"),
        pytest.param({"StudyDate": "yesterday"}, id="no date"),
        pytest.param({"StudyTime": "25:61"}, id="no time"),
        pytest.param({"PatientID": "x" * 65}, id="too long"),
        pytest.param({"PatientName": "a=b=c=d^e"}, id="four components"),
        pytest.param({"PatientWeight": "heavy"}, id="no number"),
        pytest.param({"PatientAge": "42"}, id="no age"),
        pytest.param({"AccessionNumber": "1\\2\\3"}, id="three values for one"),
        pytest.param({"SliceThickness": "0"}, id="no thickness"),
        pytest.param({"SpecificCharacterSet": "Klingon"}, id="no character set"),
        pytest.param({"FrameOfReferenceUID": "a.b"}, id="no UID"),
    ],
)
def test_objects_come_of_incomplete_and_illegal_headers(tmp_path: Path, changes: dict[str, Any]) -> None:
    writer = writer_of(changed(tmp_path, changes))
    segmentation = writer.segmentation()
    report = writer.report(segmentation)
    capture = writer.header.slices[0]
    assert segmentation.PatientSex in ("", None, "O", "M", "F")
    assert report.StudyInstanceUID == segmentation.StudyInstanceUID == capture.StudyInstanceUID


def test_what_is_legal_is_taken_over_and_the_rest_is_not(tmp_path: Path) -> None:
    def edit(image: pydicom.Dataset) -> None:
        image.StudyDescription = "HEAD"
        image.PatientIdentityRemoved, image.DeidentificationMethod = "YES", "by hand"
        image.add_new(0x00091001, "LO", "private")

    writer = writer_of(changed(tmp_path, {"StudyDate": "2024.02.29", "PatientAge": "42"}, edit))
    for made in (writer.segmentation(), writer.report(None)):
        assert (made.StudyDate, made.StudyDescription, made.DeidentificationMethod) == ("20240229", "HEAD", "by hand")
        assert "PatientAge" not in made
        assert 0x00091001 not in made


def test_sequences_are_taken_over_item_by_item(tmp_path: Path) -> None:
    def code(**told: str) -> pydicom.Dataset:
        item = pydicom.Dataset()
        for keyword, value in told.items():
            setattr(item, keyword, value)
        return item

    def edit(image: pydicom.Dataset) -> None:
        whole = code(CodeValue="RPID1", CodingSchemeDesignator="RADLEX", CodeMeaning="MR head")
        image.ProcedureCodeSequence = [code(CodeMeaning="no code"), whole, code(CodeValue="no meaning")]
        image.ReferencedStudySequence = [code(ReferencedSOPClassUID="1.2")]

    made = writer_of(changed(tmp_path, {}, edit)).segmentation()
    assert [item.CodeValue for item in made.ProcedureCodeSequence] == ["RPID1"]
    assert "ReferencedStudySequence" not in made


@pytest.mark.parametrize(
    ("terms", "encoding", "name"),
    [
        ("\\ISO 2022 IR 87", "iso2022_jp", "Yamada^Tarou=山田^太郎"),
        ("ISO_2022_IR_6", "ascii", "Doe^Jane"),
        ("GB18030\\ISO_IR 192", "gb18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 144", "iso8859_5", "Иван^Петров"),
        ("utf-8", "utf-8", "Müller^Jörg"),
        ("", "latin-1", "Müller^Jörg"),
    ],
)
def test_names_survive_any_character_set(tmp_path: Path, terms: str, encoding: str, name: str) -> None:
    changes = {"SpecificCharacterSet": terms or None, "PatientName": name.encode(encoding)}
    made = writer_of(changed(tmp_path / "in", changes)).segmentation()
    made.save_as(tmp_path / "seg.dcm")
    read = pydicom.dcmread(tmp_path / "seg.dcm")
    assert str(read.PatientName) == name
    assert read.get("SpecificCharacterSet") == (None if name.isascii() else "ISO_IR 192")


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPClassUID"])
def test_the_element_is_named_without_which_no_object_can_be(tmp_path: Path, keyword: str) -> None:
    def edit(image: pydicom.Dataset) -> None:
        if keyword == "SOPClassUID":
            image.file_meta.MediaStorageSOPClassUID = ""

    writer = writer_of(changed(tmp_path, {keyword: None}, edit))
    with pytest.raises(HeaderError) as failure:
        writer.segmentation()
    assert failure.value.keyword == keyword


def test_frames_are_referred_to_by_the_numbers_that_they_have(tmp_path: Path) -> None:
    path = tmp_path / "two-echoes.dcm"
    write_enhanced(path, echoes=2)
    series = list(discover(path))[1]  # in one file with another at the same places
    assert series.stack is not None
    array = np.zeros(series.stack.shape, np.float32)
    array[2:12, 2:9, 1:3] = 150
    exam = BrightIsAbnormal().examine(Volume(array, series.stack.affine, "a"), case="a")
    assert len(exam.finding.lesions) == 1
    writer = DicomWriter(series.stack, exam, key="k", rules=OutputRules())
    segmentation = writer.segmentation()
    items = [
        frame.DerivationImageSequence[0].SourceImageSequence[0]
        for frame in segmentation.PerFrameFunctionalGroupsSequence
    ]
    places = {series.stack.instances[k].frame for k in (1, 2)}
    assert {int(item.ReferencedFrameNumber) - 1 for item in items} == places
    uid = pydicom.dcmread(path).SOPInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in [*items, *segmentation.SourceImageSequence]} == {uid}
    assert writer.report(segmentation).get_evidence()[0][2] == uid
