"""`healthytwin inspect`: a line and a verdict for everything that is there."""

import json
import os

import nibabel as nib
import numpy as np
from dicom_maker import write_series
from typer.testing import CliRunner

from pipelines.cli.app import app
from pipelines.machine.files import printable


def run(*arguments):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def drop(index):
    return lambda k, dataset: k != index


def test_a_drive_of_all_sorts(tmp_path):
    write_series(tmp_path / "good")
    write_series(tmp_path / "gap", uid="1.2.4", change=drop(5))
    write_series(tmp_path / "one", uid="1.2.5", slices=1)
    nib.save(nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)), tmp_path / "scan.nii.gz")
    (tmp_path / "lost.dcm").write_text("nothing of the kind")
    (tmp_path / "notes.txt").write_text("not an image, and not called one")
    result = run(tmp_path, "--json")
    series = {record["place"].rpartition("/")[2]: record for record in json.loads(result.stdout)["series"]}
    assert {name: (record["verdict"], record["code"]) for name, record in series.items()} == {
        "good": ("ACCEPT", ""),
        "gap": ("QUARANTINE", "MISSING_SLICES"),
        "one": ("SKIP", "SINGLE_SLICE"),
        "scan.nii.gz": ("ACCEPT", ""),
        "lost.dcm": ("QUARANTINE", "NOT_DICOM"),
    }
    assert (series["good"]["shape"], series["good"]["files"], series["good"]["modality"]) == ([14, 10, 12], 12, "MR")
    assert series["good"]["spacing_mm"] == [0.9, 0.8, 3.0]
    assert result.exit_code == 3
    table = run(tmp_path)
    assert table.exit_code == 3
    assert "2 ACCEPT, 1 SKIP, 2 QUARANTINE" in table.output
    assert str(tmp_path / "scan.nii.gz") in table.output  # whole, however long


def test_gaps_are_accepted_when_asked_for_and_told(tmp_path):
    write_series(tmp_path, change=drop(5))
    (record,) = json.loads(run(tmp_path, "--allow-gaps", "--json").stdout)["series"]
    assert (record["verdict"], record["flags"], record["shape"]) == ("ACCEPT", ["gaps_allowed"], [14, 10, 12])


def test_what_only_pixels_tell(tmp_path):
    write_series(tmp_path, change=lambda k, dataset: setattr(dataset, "PixelData", b"\0" * 280))
    assert run(tmp_path).exit_code == 0
    result = run(tmp_path, "--pixels", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["series"][0]["code"] == "EMPTY"


def test_another_modality_is_skipped(tmp_path):
    write_series(tmp_path)
    result = run(tmp_path, "--modality", "CT", "--json")
    assert result.exit_code == 0
    (record,) = json.loads(result.stdout)["series"]
    assert (record["verdict"], record["code"]) == ("SKIP", "OUT_OF_DOMAIN")


def test_nothing_there(tmp_path):
    assert run(tmp_path).exit_code == 4
    assert run(tmp_path / "nowhere").exit_code == 2


def test_file_names_that_are_no_text(tmp_path):
    write_series(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / os.fsdecode(b"caf\xe9"))
    result = run(tmp_path, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["series"][0]["place"].endswith("caf\\xe9")
    assert printable("café") == "café"


def test_no_name_of_a_patient(tmp_path):
    write_series(tmp_path, change=lambda k, dataset: setattr(dataset, "PatientName", "CANARY^JANE") if k else False)
    assert "CANARY" not in run(tmp_path, "--json").output + run(tmp_path).output
