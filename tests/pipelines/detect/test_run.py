"""`healthytwin detect`: outputs, exit codes, and one bad case among good ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bright import AFFINE, head, write_nifti
from typer.testing import Result

Run = Callable[..., Result]


def test_writes_mask_score_finding_record_and_report(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    done = healthytwin("detect", scans, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    cases = {f"{case}{end}" for case in ("healthy", "ill") for end in ("_mask.nii.gz", "_score.nii.gz", ".json")}
    assert names == cases | {"run.json", "report.html"}
    mask = nib.load(tmp_path / "out" / "ill_mask.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), head(lesion=True) > 100)
    np.testing.assert_allclose(mask.affine, AFFINE, atol=1e-5)
    assert str(tmp_path / "out" / "report.html") in done.stdout


def test_an_empty_mask_is_a_normal_result(healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path) -> None:
    done = healthytwin("detect", scans / "healthy.nii.gz", "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0
    (case,) = json.loads(done.stdout)["cases"]
    assert (case["status"], case["abnormal"], case["lesions"], case["volume_ml"]) == ("done", False, 0, 0)


def test_json_is_all_of_stdout_and_equals_run_json(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    done = healthytwin("detect", scans, "-o", tmp_path / "out", "--json")
    told = json.loads(done.stdout)
    assert told == json.loads((tmp_path / "out" / "run.json").read_text())
    ill = next(case for case in told["cases"] if case["case"] == "ill")
    assert ill["abnormal"] is True
    assert ill["p_value"] == pytest.approx(0.1)
    assert ill["volume_ml"] == pytest.approx(9.6)
    assert set(ill["outputs"].values()) == {"ill_mask.nii.gz", "ill_score.nii.gz", "ill.json"}
    assert told["bundle"]["weights_sha256"] == "ab" * 32
    assert "torch" in told["versions"]


def test_a_case_called_like_the_record_of_the_run_keeps_its_finding(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    (scans / "ill.nii.gz").rename(scans / "run.nii.gz")
    done = healthytwin("detect", scans, "-o", tmp_path / "out", "--json")
    told = json.loads(done.stdout)
    files = [tmp_path / "out" / case["outputs"]["finding"] for case in told["cases"]]
    assert [json.loads(file.read_text())["case"] for file in files] == [case["case"] for case in told["cases"]]
    assert json.loads((tmp_path / "out" / "run.json").read_text()) == told


def test_a_link_that_is_planted_in_the_output_is_not_followed(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    out, victim = tmp_path / "out", tmp_path / "victim"
    out.mkdir()
    victim.write_text("precious")
    for name in (".run.json.partial", ".run.json", ".ill.json", ".ill_mask.nii.gz", ".report.html.partial"):
        (out / name).symlink_to(victim)
    assert healthytwin("detect", scans, "-o", out).exit_code == 0
    assert victim.read_text() == "precious"
    assert json.loads((out / "run.json").read_text())["command"] == "detect"
    (out / "ill_mask.nii.gz").unlink()
    (out / "ill_mask.nii.gz").symlink_to(victim)
    refused = healthytwin("detect", scans, "-o", out)
    assert refused.exit_code == 2, "a link under the name of a result is not ours"
    assert victim.read_text() == "precious"


def test_no_report(healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path) -> None:
    done = healthytwin("detect", scans, "-o", tmp_path / "out", "--no-report", "--json")
    assert json.loads(done.stdout)["report"] is None
    assert not (tmp_path / "out" / "report.html").exists()


BAD = {
    "text.nii.gz": (b"no image at all", "NOT_AN_IMAGE"),
    "four.nii.gz": (np.ones((8, 8, 4, 3), np.float32), "WRONG_DIMENSION"),
    "flat.nii.gz": (np.ones((8, 8), np.float32), "WRONG_DIMENSION"),
    "nan.nii.gz": (np.full((8, 8, 4), np.nan, np.float32), "NAN"),
    "empty.nii.gz": (np.zeros((8, 8, 4), np.float32), "EMPTY"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_listed_and_the_rest_is_done(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path, name: str
) -> None:
    content, code = BAD[name]
    if isinstance(content, bytes):
        (scans / name).write_bytes(content)
    else:
        write_nifti(scans / name, content)
    done = healthytwin("detect", scans, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 3
    cases = {case["case"]: case for case in json.loads(done.stdout)["cases"]}
    bad = cases.pop(name.removesuffix(".nii.gz"))
    assert (bad["status"], bad["code"]) == ("failed", code)
    assert bad["reason"]
    assert [case["status"] for case in cases.values()] == ["done", "done"]


def test_an_unexpected_error_stays_with_its_case(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    write_nifti(scans / "broken.nii.gz", head())
    done = healthytwin("detect", scans, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 3
    told = {case["case"]: case for case in json.loads(done.stdout)["cases"]}
    assert told["broken"]["code"] == "RuntimeError"
    assert told["broken"]["reason"].startswith("RuntimeError: no kernel for")
    assert told["ill"]["status"] == "done"
    assert "Traceback" not in done.stderr


def test_a_named_file_that_is_not_an_image_is_refused_before_the_bundle_is_loaded(
    healthytwin: Run, fake_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    monkeypatch.setattr("pipelines.detect.run.load", lambda *_, **__: pytest.fail("the bundle was loaded"))
    done = healthytwin("detect", tmp_path / "notes.txt", "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert "error: notes.txt is not an image [NOT_AN_IMAGE]" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_named_file_that_is_not_an_image_is_listed_beside_a_good_one(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    done = healthytwin("detect", tmp_path / "notes.txt", scans, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 3
    assert [case["code"] for case in json.loads(done.stdout)["cases"]] == ["NOT_AN_IMAGE", None, None]


def test_a_missing_path_beside_a_good_one_is_listed(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    done = healthytwin("detect", tmp_path / "gone", scans, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 3
    assert [case["code"] for case in json.loads(done.stdout)["cases"]] == ["MISSING_FILE", None, None]


def test_equal_names_from_two_folders_get_suffixes_and_one_file_is_done_once(
    healthytwin: Run, fake_bundle: Path, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        write_nifti(tmp_path / folder / "scan.nii.gz", head())
    places = (tmp_path / "a", tmp_path / "b", tmp_path / "a" / "scan.nii.gz")
    done = healthytwin("detect", *places, "-o", tmp_path / "out", "--json")
    assert [case["case"] for case in json.loads(done.stdout)["cases"]] == ["scan", "scan-2"]


def test_results_of_an_earlier_run_are_not_examined(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    earlier = tmp_path / "earlier"
    for sources, output in (((scans,), earlier), ((scans, earlier), tmp_path / "later")):
        done = healthytwin("detect", *sources, "-o", output, "--json")
        assert [case["case"] for case in json.loads(done.stdout)["cases"]] == ["healthy", "ill"]
    write_nifti(earlier / "someones_mask.nii.gz", head())
    done = healthytwin("detect", scans, earlier, "-o", tmp_path / "last", "--json")
    assert [case["case"] for case in json.loads(done.stdout)["cases"]] == ["healthy", "ill", "someones_mask"]


def test_nothing_found(healthytwin: Run, fake_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    done = healthytwin("detect", tmp_path / "none", "-o", tmp_path / "out")
    assert done.exit_code == 4
    assert "nothing to do" in done.stderr
    told = healthytwin("detect", tmp_path / "none", "-o", tmp_path / "out", "--json")
    assert told.exit_code == 4
    assert json.loads(told.stdout)["cases"] == []


@pytest.mark.parametrize("as_json", [False, True])
def test_a_missing_path_alone_is_a_usage_error(
    healthytwin: Run, fake_bundle: Path, tmp_path: Path, as_json: bool
) -> None:
    done = healthytwin("detect", tmp_path / "gone", "-o", tmp_path / "out", *(["--json"] if as_json else []))
    assert done.exit_code == 2
    assert "gone: there is no such file or folder" in done.stderr
    assert "Traceback" not in done.stderr
    if as_json:
        assert json.loads(done.stdout)["error"]["code"] == 2
    else:
        assert done.stdout == ""


def test_an_output_that_cannot_be_written(healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = healthytwin("detect", scans, "-o", tmp_path / "file" / "out")
    assert done.exit_code == 2
    assert "cannot write" in done.stderr


@pytest.mark.parametrize("device", ["warp9", "cuda:77"])
def test_a_device_that_is_not_there(
    healthytwin: Run, fake_bundle: Path, scans: Path, tmp_path: Path, device: str
) -> None:
    done = healthytwin("detect", scans, "-o", tmp_path / "out", "--device", device)
    assert done.exit_code == 2
    assert f"--device {device}" in done.stderr


def test_missing_arguments_are_a_usage_error(healthytwin: Run) -> None:
    assert healthytwin("detect").exit_code == 2
    assert healthytwin("detect", "x").exit_code == 2
    assert healthytwin().exit_code == 2


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom pipelines.cli.app import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'monai', 'matplotlib', 'jinja2', 'itk', 'nibabel', 'pydicom', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in ("demo", "detect", "evaluate"))
