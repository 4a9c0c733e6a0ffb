"""CT from DICOM to findings: the modality is kept, the window is in the bundle, lesions are seen in HU."""

import json

import nibabel as nib
import numpy as np
import pytest
from ct_phantom import ct_head
from dicom_maker import SPACING, instance, orientation
from pydicom import dcmwrite
from pydicom.uid import CTImageStorage

from data_prep import list_cases, read_volume
from data_prep.cases.datalist import Datalist
from pipelines.train.choices import Choices
from pipelines.train.configs import plan_for

TINY = ["--epochs", "1", "--steps", "2", "--batch-size", "1"]


def write_ct(folder, array, *, name):
    """A CT series of `array` `(columns, rows, slices)` in HU."""
    folder.mkdir(parents=True)
    row, column = orientation()
    for k in range(array.shape[2]):
        uid = f"1.2.3.{sum(name.encode())}"
        stored = (array[..., k].T.astype(int) + 1024).clip(0).astype(np.uint16)
        dataset = instance(
            stored, np.array([0, 0, 5.0 * k]), (row, column), uid=uid, number=k + 1, Modality="CT", PatientID=name,
            PatientName=name, RescaleSlope=1, RescaleIntercept=-1024, SOPClassUID=CTImageStorage,
        )  # fmt: skip
        dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.StudyInstanceUID = f"{uid}.1"
        dcmwrite(folder / f"{k:03d}.dcm", dataset, enforce_file_format=True)


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    root = tmp_path_factory.mktemp("ct")
    for number in range(5):
        write_ct(root / f"p{number}", ct_head(seed=number)[0], name=f"patient{number}")
    return root


@pytest.fixture(scope="module")
def bundle(series, tmp_path_factory):
    from pipelines.train.run import train

    root = tmp_path_factory.mktemp("bundle") / "ct_site"
    train(series, root, settings={"epochs": 1, "steps": 2, "batch_size": 1})
    return root


def test_prepare_keeps_the_modality(healthytwin, series, tmp_path):
    done = healthytwin("prepare", series, "-o", tmp_path / "cohort", "--json")
    assert done.exit_code == 0, done.stderr
    datalist = Datalist.read(tmp_path / "cohort" / "dataset.json")
    assert datalist.modality == "CT"
    assert {case.modality for case in list_cases(datalist, "training")} == {"CT"}
    volume = read_volume(list_cases(datalist, "training")[0].image)
    assert volume.array.min() < -900


@pytest.mark.parametrize("steps", [["--n4"], ["--standardise", "nyul"]])
def test_steps_that_spoil_hu_are_refused(healthytwin, series, tmp_path, steps):
    done = healthytwin("prepare", series, "-o", tmp_path / "cohort", *steps)
    assert done.exit_code == 2
    assert f"{steps[0]}: not for CT" in done.stderr


def test_the_bundle_is_for_ct_and_takes_its_own_series(healthytwin, bundle, series, tmp_path):
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert metadata["network_data_format"]["inputs"]["image"]["modality"] == "CT"
    assert "HU scaled to" in metadata["image_classes"]
    done = healthytwin("detect", series / "p0", "-o", tmp_path / "out", "--bundle", bundle, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["cases"][0]["status"] == "done"
    assert (tmp_path / "out" / "report.html").is_file()


def test_the_picture_shows_the_window_of_the_bundle(bundle, series):
    from anomaly import load_detector

    exam = load_detector(bundle, device="cpu").examine(list_cases(series)[0].volume())
    low, high = exam.window
    assert -200 <= low < high <= 300
    assert exam.twin.min() < -900, "air stays air"


def test_dark_and_bright_lesions_are_planted_in_hu(healthytwin, series, tmp_path):
    healthytwin("prepare", series, "-o", tmp_path / "cohort", "--split", "0,0,100")
    done = healthytwin(
        "plant", tmp_path / "cohort", "-o", tmp_path / "planted", "--families", "plateau", "--darker", 1, "--copies", 2,
        "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    cases = list_cases(tmp_path / "planted", "test")
    assert {case.modality for case in cases} == {"CT"}
    healthy = {case.patient: case.volume().array for case in cases if "healthy" in case.name}
    changes = [
        (case.volume().array - healthy[case.patient])[read_volume(case.label).array > 0].mean()
        for case in cases
        if "planted" in case.name
    ]
    assert changes
    assert max(changes) < 0, "all are dark"
    assert min(changes) > -400, "in the window of tissue"


def test_a_window_and_other_choices_go_into_the_configs():
    from dataclasses import replace

    from data_prep import Volume, take_fingerprint

    volume = Volume(np.zeros((64, 64, 12)), np.diag([1.0, 1.0, 5.0, 1.0]))
    fingerprint = replace(take_fingerprint([volume]), chosen=(2.0, 2.0, 5.0))
    choices = Choices(windows=[(0.0, 80.0)], radius=(4.0, 20.0), min_lesion=0.5, darker=0.3)
    plan = plan_for(fingerprint, choices=choices)
    assert plan.prepare[-1]["windows"] == [[0.0, 80.0]]
    assert plan.prepare[1]["pixdim"] == [2.0, 2.0, 5.0]
    assert plan.train["radius"] == [2.0, 10.0]
    assert plan.train["calibration::handlers::1::min_lesion_ml"] == 0.5
    assert plan.slabs["PlantAnomalyd"] == {"darker": 0.3}
    assert plan.slabs["RandAdjustContrastd"] == {"prob": 0.0}


def test_choices_change_the_right_steps_of_training(bundle):
    from monai.bundle import ConfigParser

    steps = ConfigParser.load_config_file(bundle / "configs" / "train.yaml")["train"]["slabs"]
    by_target = {step["_target_"]: step for step in steps}
    assert by_target["RandAdjustContrastd"]["prob"] == 0.0
    assert by_target["RandBiasFieldd"]["prob"] == 0.0
    assert by_target["anomaly.synthesis.PlantAnomalyd"]["darker"] == 0.5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--window", "80,0"], "--window needs two HU"),
        (["--window", "liver"], "brain, subdural"),
        (["--voxel-size", "1,2"], "--voxel-size needs one length"),
        (["--voxel-size", "0.001"], "--voxel-size needs lengths from"),
        (["--radius", "5", "2"], "--radius needs two lengths"),
    ],
)
def test_options_that_cannot_be_are_refused(healthytwin, series, tmp_path, options, words):
    done = healthytwin("train", series, "-o", tmp_path / "b", *options)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())


def test_a_window_is_not_for_mr_and_modalities_are_not_mixed(healthytwin, tmp_path):
    folder, made = tmp_path / "scans", tmp_path / "made"
    folder.mkdir()
    entries = []
    for number in range(4):
        image = nib.Nifti1Image(ct_head(seed=number)[0], np.diag([3.0, 3.0, 5.0, 1.0]))
        nib.save(image, folder / f"{number}.nii.gz")
        entries.append({"image": f"{number}.nii.gz", "modality": "MR"})
    (folder / "dataset.json").write_text(json.dumps({"training": entries}))
    done = healthytwin("train", folder, "-o", made, "--window", "brain")
    assert "--window is for CT, and the scans are MR" in done.stderr
    entries[0]["modality"] = "CT"
    (folder / "dataset.json").write_text(json.dumps({"training": entries}))
    done = healthytwin("train", folder, "-o", made)
    assert "of several modalities, CT and MR" in done.stderr


@pytest.mark.parametrize(
    ("about", "modality"),
    [
        ({"modality": {"0": "CT"}}, "CT"),
        ({"channel_names": {"0": "ct"}}, "CT"),
        ({"modality": "CT"}, "CT"),
        ({"modality": {"0": "FLAIR"}}, ""),
        ({"modality": {"0": "CT", "1": "PT"}}, ""),
        ({}, ""),
    ],
)
def test_a_datalist_says_its_modality(tmp_path, about, modality):
    assert Datalist(path=tmp_path, sections={}, about=about).modality == modality


def test_spacing_of_the_series(series):
    assert list_cases(series)[0].volume().spacing[:2] == (SPACING[1], SPACING[0])
