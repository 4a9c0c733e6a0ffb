"""`healthytwin calibrate`, and the commands that take what it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from archive import FAMILY_NAME, dicom_series
from bright import head, write_nifti
from typer.testing import Result

from anomaly import BundleError
from anomaly.scoring import Calibration
from pipelines.reprocess.plan import Model
from pipelines.reprocess.site import Site

Run = Callable[..., Result]


def noisy_head(seed: int, *, noise: float = 3.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(head() + rng.normal(0, noise, head().shape) * (head() > 0), 0, None).astype(np.float32)


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    """Ten healthy heads, named after their patients."""
    for number in range(10):
        write_nifti(tmp_path / "healthy" / f"{FAMILY_NAME}_{number}.nii.gz", noisy_head(number))
    return tmp_path / "healthy"


@pytest.fixture
def calibration(healthytwin: Run, identity_bundle: Path, healthy: Path, tmp_path: Path) -> Path:
    done = healthytwin("calibrate", healthy, "-o", tmp_path / "site.json", "--bundle", identity_bundle)
    assert done.exit_code == 0, done.output
    return tmp_path / "site.json"


def test_the_thresholds_are_those_of_the_healthy_scores(
    calibration: Path, identity_bundle: Path, healthy: Path, healthytwin: Run, tmp_path: Path
) -> None:
    made = Calibration.load(calibration)
    assert len(made.cases) == len(set(made.cases)) == 10
    assert FAMILY_NAME not in calibration.read_text()
    assert made.provenance["bundle"].startswith("brain_flair_healthy_twin")
    done = healthytwin(
        "detect", healthy, "-o", tmp_path / "out", "--bundle", identity_bundle, "--calibration", calibration, "--json"
    )
    findings = [json.loads(path.read_text()) for path in (tmp_path / "out").glob(f"{FAMILY_NAME}*.json")]
    assert done.exit_code == 0
    assert sorted(finding["score"] for finding in findings) == pytest.approx(made.image_scores, abs=1e-6)
    assert {finding["thresholds"]["voxel"] for finding in findings} == {made.voxel_threshold}
    assert sorted(finding["p_value"] for finding in findings) == pytest.approx([rank / 11 for rank in range(2, 12)])
    for name, values in made.appearance.items():
        assert sorted(finding["appearance"][name] for finding in findings) == pytest.approx(values)


def test_a_lesion_is_abnormal_by_the_site_and_few_scans_promise_little(
    healthytwin: Run, identity_bundle: Path, healthy: Path, calibration: Path, tmp_path: Path
) -> None:
    write_nifti(tmp_path / "ill.nii.gz", head(lesion=True))
    arguments = ("detect", tmp_path / "ill.nii.gz", "-o", tmp_path / "out", "--bundle", identity_bundle)
    assert healthytwin(*arguments, "--calibration", calibration).exit_code == 0
    assert json.loads((tmp_path / "out" / "ill.json").read_text())["abnormal"]
    few = tmp_path / "few"
    for path in sorted(healthy.iterdir())[:2]:
        (few / path.name).parent.mkdir(exist_ok=True)
        (few / path.name).write_bytes(path.read_bytes())
    (few / "broken.nii.gz").write_text("no image")
    told = healthytwin("calibrate", few, "-o", tmp_path / "few.json", "--bundle", identity_bundle, "--json")
    run = json.loads(told.stdout)
    assert (told.exit_code, run["scans"], len(run["refused"]), run["thresholds"]["image"]) == (3, 2, 1, None)
    assert "no scan will be called abnormal" in run["promise"]
    healthytwin(*arguments, "--calibration", tmp_path / "few.json")
    assert not json.loads((tmp_path / "out" / "ill.json").read_text())["abnormal"]


def test_series_of_one_patient_count_once(healthytwin: Run, identity_bundle: Path, tmp_path: Path) -> None:
    for number, patient in enumerate(("ONE", "ONE", "TWO")):
        dicom_series(tmp_path / "source" / str(number), seed=number, patient=patient)
    told = healthytwin(
        "calibrate", tmp_path / "source", "-o", tmp_path / "c.json", "--bundle", identity_bundle, "--json"
    )
    run = json.loads(told.stdout)
    assert (run["scans"], run["patients"]) == (3, 2)


def test_test_cases_and_labelled_lesions_are_refused(
    healthytwin: Run, identity_bundle: Path, healthy: Path, tmp_path: Path
) -> None:
    write_nifti(tmp_path / "label.nii.gz", (head(lesion=True) > 100).astype(np.float32))
    images = [str(path) for path in sorted(healthy.iterdir())]
    datalist = {"test": images, "validation": [images[0], {"image": images[1], "label": "label.nii.gz"}]}
    (tmp_path / "dataset.json").write_text(json.dumps(datalist))
    arguments = ("-o", tmp_path / "c.json", "--bundle", identity_bundle, "--json")
    run = json.loads(healthytwin("calibrate", tmp_path / "dataset.json", *arguments).stdout)
    assert (run["scans"], [refused["code"] for refused in run["refused"]]) == (1, ["NOT_HEALTHY"])
    (tmp_path / "dataset.json").write_text(json.dumps({"test": images}))
    none = healthytwin("calibrate", tmp_path / "dataset.json", *arguments)
    assert none.exit_code == 2
    assert "no section 'validation'" in none.output
    (tmp_path / "empty").mkdir()
    assert "no scan to calibrate on" in healthytwin("calibrate", tmp_path / "empty", *arguments).output


def test_the_calibration_is_part_of_a_jobs_configuration_and_its_date_is_not(
    calibration: Path, identity_bundle: Path, tmp_path: Path
) -> None:
    own = Model.of(identity_bundle, Site())
    site = Model.of(identity_bundle, Site(calibration=calibration))
    again = Calibration.load(calibration).model_copy(update={"provenance": {"date": "another"}})
    again.save(tmp_path / "again.json")
    assert own.configuration != site.configuration
    assert Model.of(identity_bundle, Site(calibration=tmp_path / "again.json")).configuration == site.configuration
    again.model_copy(update={"weights_sha256": "0" * 64}).save(tmp_path / "other.json")
    with pytest.raises(BundleError, match="calibrate again"):
        Model.of(identity_bundle, Site(calibration=tmp_path / "other.json"))
    with pytest.raises(BundleError, match="no calibration"):
        Model.of(identity_bundle, Site(calibration=tmp_path / "gone.json"))


def test_reprocess_uses_it(
    healthytwin: Run, identity_bundle: Path, healthy: Path, calibration: Path, tmp_path: Path
) -> None:
    arguments = ("reprocess", healthy, "-o", tmp_path / "archive", "--bundle", identity_bundle, "--json")
    site = json.loads(healthytwin(*arguments, "--calibration", calibration).stdout)
    assert (site["examined"], site["jobs"]["done"]) == (10, 10)
    (tmp_path / "site.yaml").write_text(f"calibration: {calibration}\n")
    assert json.loads(healthytwin(*arguments, "--site", tmp_path / "site.yaml").stdout)["examined"] == 0
    findings = [json.loads(path.read_text()) for path in (tmp_path / "archive" / "cases").glob("*/*.json")]
    voxel = {finding["thresholds"]["voxel"] for finding in findings if "thresholds" in finding}
    assert voxel == {Calibration.load(calibration).voxel_threshold}
