from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bright import BrightIsAbnormal

from data_prep import Volume
from pipelines.outputs.rules import OutputRules
from pipelines.outputs.table import OUTPUTS, RESULT, TO_SEND, Examined, extras, result_files, write_extras


@pytest.fixture
def examined() -> Examined:
    array = np.zeros((12, 12, 8), np.float32)
    array[4:8, 4:8, 3:5] = 1
    volume = Volume(array=array, affine=np.eye(4), source="scan.nii.gz")
    return Examined(volume=volume, exam=BrightIsAbnormal().examine(volume, case="scan"))


def test_no_two_kinds_share_a_file() -> None:
    assert len({row.file("scan") for row in OUTPUTS.values()}) == len(OUTPUTS)
    assert [row.kind for row in RESULT] == ["mask", "score", "finding"]
    assert TO_SEND == ["seg", "sr", "sc"]


def test_the_result_is_named_as_its_writer_names_it(examined: Examined, tmp_path: Path) -> None:
    from anomaly.engines import write_examination

    paths = write_examination(examined.exam, examined.volume.affine, tmp_path)
    assert {kind: path.name for kind, path in paths.items()} == result_files("scan")


def test_a_site_gets_what_it_asks_for_beside_the_result() -> None:
    every = OutputRules(sc=True)
    assert {row.kind for row in extras(every)} == set(OUTPUTS) - {row.kind for row in RESULT}
    none = OutputRules(picture=False, viewer=False, seg=False, sr=False)
    assert extras(none) == []


def test_a_source_that_is_no_dicom_series_gets_no_dicom_object(examined: Examined, tmp_path: Path) -> None:
    names, faults = write_extras(examined, tmp_path, extras(OutputRules(sc=True)))
    assert faults == {}
    assert sorted(names) == ["picture", "view", "view_score", "view_twin"]
    assert sorted(names.values()) == sorted(path.name for path in tmp_path.iterdir())


def test_what_cannot_be_made_stops_nothing_else(examined: Examined, tmp_path: Path) -> None:
    def fail(_: Examined) -> bytes:
        raise ValueError("no PatientSex")

    rows = [replace(OUTPUTS["seg"], make=fail), OUTPUTS["picture"]]
    names, faults = write_extras(examined, tmp_path, rows)
    assert names == {"picture": "scan.png"}
    assert [str(fault) for fault in faults.values()] == ["no PatientSex"]
    assert [path.name for path in tmp_path.iterdir()] == ["scan.png"]
