"""`healthytwin train`: from a folder of healthy scans to a bundle that works."""

import functools
import json
import logging
import signal
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from conftest import phantom, rotated_affine
from dicom_maker import write_series
from opened import counting, opens_below
from typer.testing import CliRunner

from anomaly import load_detector
from data_prep import list_cases, list_runs, read_volume
from pipelines.bundles import start_bundle
from pipelines.cli.app import app
from pipelines.cohort.healthy import divide, gather
from pipelines.train import run as training
from pipelines.train.configs import _changed

SHIPPED = start_bundle()
TINY = ["--epochs", "1", "--steps", "2", "--batch-size", "1"]


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Five healthy phantoms with coronal slices, and a file that is none."""
    folder = tmp_path_factory.mktemp("scans")
    affine = rotated_affine((3.0, 3.0, 6.0), angle=0.05, order=(0, 2, 1))
    for index in range(5):
        nib.save(nib.Nifti1Image(phantom(seed=index)[0], affine), folder / f"scan{index}.nii.gz")
    (folder / "broken.nii.gz").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def opened():
    """How often `trained` opened each of its scans."""
    return {}


@pytest.fixture(scope="module")
def trained(scans, opened, tmp_path_factory):
    """The bundle, and what the command said."""
    root = tmp_path_factory.mktemp("site") / "our site 1"
    with counting() as counter:
        done = CliRunner().invoke(app, ["train", str(scans), "-o", str(root), "--json", *TINY])
    opened |= opens_below(counter, scans)
    assert done.exit_code == 3, done.stderr  # one file was refused
    return root, json.loads(done.stdout)


def test_an_epoch_opens_an_image_three_times_at_most(trained, opened):
    """To be looked at, to be learned from or validated on, and, where it is calibrated on, once more."""
    assert len(opened) == 6
    assert max(opened.values()) <= 3, opened
    assert opened["broken.nii.gz"] == 1


def test_the_bundle_examines_a_scan(trained, scans):
    root, _ = trained
    exam = load_detector(root, device="cpu").examine(read_volume(scans / "scan0.nii.gz"))
    assert exam.finding.bundle.name == "our_site_1"
    assert exam.mask.shape == (64, 64, 8)
    assert not exam.finding.abnormal, "one calibration scan promises nothing"


def test_it_says_what_was_done(trained):
    root, record = trained
    assert (record["training"], record["validation"]) == (4, 1)
    assert [scan["case"] for scan in record["refused"]] == ["broken"]
    assert record["fingerprint"]["axcodes"] == "RSA", "the thick slices are coronal"
    assert len(record["history"]) == 1
    assert "at least 9 are needed" in record["promise"]
    card = (root / "docs" / "README.md").read_text()
    assert "4 scans to train, 1 scans" in card
    assert record["promise"].capitalize() in card
    assert json.loads((root / "training" / "training.json").read_text())["provenance"]["commit"]
    assert list((root / "training" / "pictures").glob("*.png"))
    assert logging.root.manager.disable == logging.NOTSET


def test_no_path_of_the_site_is_in_what_is_passed_on(trained, scans):
    root, _ = trained
    for part in ("configs", "docs", "models/calibration.json"):
        files = [root / part] if (root / part).is_file() else sorted((root / part).rglob("*"))
        assert [file for file in files if file.is_file() and str(scans) in file.read_text(errors="ignore")] == []


def test_ctrl_c_leaves_what_the_same_command_with_resume_goes_on_from(scans, tmp_path, monkeypatch):
    from ignite.engine import Events

    follow = training.following

    @contextmanager
    def impatient(trainer, *others):
        with follow(trainer, *others) as history:
            trainer.add_event_handler(Events.ITERATION_STARTED(once=4), lambda: signal.raise_signal(signal.SIGINT))
            yield history

    arguments = ["train", str(scans), "-o", str(tmp_path / "b"), "--steps", "2", "--batch-size", "1", "--epochs", "2"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest-xdist's workers ignore it
    with monkeypatch.context() as patch:
        patch.setattr(training, "following", impatient)
        stopped = CliRunner().invoke(app, arguments)
    signal.signal(signal.SIGINT, before)
    assert stopped.exit_code == 130
    assert "Run the same command with --resume to continue after the last complete epoch." in stopped.stderr
    assert not (tmp_path / "b" / "models" / "model.pt").exists()
    done = CliRunner().invoke(app, [*arguments, "--resume", "--json"])
    assert done.exit_code == 3, done.stderr  # one file was refused
    assert [row["epoch"] for row in json.loads(done.stdout)["history"]] == [2]
    assert "epoch 2 of 2: voxel AP of planted anomalies" in done.stderr
    phases = ["plan: 4 scans to train on, 1 to validate", "training: epoch 2 of 2", "validating after epoch 2 of 2"]
    places = [done.stderr.find(words) for words in [*phases, "calibrating on healthy scans"]]
    assert places[0] >= 0
    assert places == sorted(places)


def test_few_scans_are_learned_from_with_the_shipped_weights_behind_them(trained, scans, tmp_path):
    root, record = trained
    assert "begun with the weights of brain_mr_healthy_twin" in record["notes"][0]
    assert "CC BY-SA" in (root / "docs" / "data_license.txt").read_text()
    before, after = (torch.load(path / "models" / "model.pt", weights_only=True) for path in (SHIPPED, root))
    one = next(name for name, value in before.items() if value.ndim == 5)
    torch.testing.assert_close(after[one].float(), before[one].float(), rtol=0, atol=0.02)  # two steps away
    done = CliRunner().invoke(
        app, ["train", str(scans), "-o", str(tmp_path / "new"), "--from-scratch", "--json", *TINY]
    )
    assert not any("begun with" in note for note in json.loads(done.stdout)["notes"])
    assert "CC BY-SA" not in (tmp_path / "new" / "docs" / "data_license.txt").read_text()
    new = torch.load(tmp_path / "new" / "models" / "model.pt", weights_only=True)
    assert (new[one].float() - before[one].float()).abs().max() > 0.02


def test_from_scratch_and_from_something_is_one_too_many(scans, tmp_path):
    words = ["train", str(scans), "-o", str(tmp_path / "b"), "--from-scratch", "--start-from", str(SHIPPED)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "--from-scratch goes with neither" in done.stderr


def test_a_bundle_without_weights_is_nothing_to_begin_with(scans, tmp_path):
    bare = Path("bundles/anogan").resolve()
    done = CliRunner().invoke(app, ["train", str(scans), "-o", str(tmp_path / "b"), "--start-from", str(bare), *TINY])
    assert done.exit_code == 2
    assert "has no weights to begin with" in done.stderr
    assert not (tmp_path / "b").exists()


def test_a_bundle_is_not_written_over(trained, scans):
    root, _ = trained
    before = (root / "models" / "model.pt").read_bytes()
    done = CliRunner().invoke(app, ["train", str(scans), "-o", str(root), *TINY])
    assert done.exit_code == 2
    assert "choose another folder" in done.stderr
    assert (root / "models" / "model.pt").read_bytes() == before
    again = CliRunner().invoke(app, ["train", str(scans), "-o", str(root), "--resume", *TINY])
    assert again.exit_code == 2
    assert "no interrupted training" in again.stderr


@pytest.mark.parametrize("option", ["--families", "--held-out-families"])
def test_an_unknown_family_is_named_before_a_scan_is_read(tmp_path, option):
    done = CliRunner().invoke(
        app, ["train", str(tmp_path / "scans"), "-o", str(tmp_path / "b"), option, "shift,gremlins", *TINY]
    )
    assert done.exit_code == 2
    assert "gremlins" in done.stderr
    assert not (tmp_path / "b").exists()


def test_families_of_the_command_line_are_planted(scans, tmp_path):
    arguments = ["--families", "cored", "--held-out-families", "swap,blur", *TINY]
    CliRunner().invoke(app, ["train", str(scans), "-o", str(tmp_path / "b"), *arguments])
    card = (tmp_path / "b" / "docs" / "README.md").read_text()
    assert "cored" in card
    assert "swap, blur" in card


def test_the_checkpoint_is_not_chosen_on_what_is_trained_on(scans, tmp_path):
    words = ["train", str(scans), "-o", str(tmp_path / "b"), "--families", "scattered,shift", *TINY]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "scattered: both planted" in done.stderr


def test_two_scans_are_too_few(tmp_path, scans):
    for name in ("scan0.nii.gz", "scan1.nii.gz"):
        (tmp_path / "two").mkdir(exist_ok=True)
        (tmp_path / "two" / name).write_bytes((scans / name).read_bytes())
    done = CliRunner().invoke(app, ["train", str(tmp_path / "two"), "-o", str(tmp_path / "bundle"), *TINY])
    assert done.exit_code == 2
    assert "at least 3 are needed" in done.stderr


def test_a_datalist_keeps_its_division_and_another_bundles_preparation(cohort, tmp_path):
    root = tmp_path / "like"
    shipped = ["--like", "bundles/brain_flair_healthy_twin", "--start-from", "bundles/brain_flair_healthy_twin"]
    done = CliRunner().invoke(app, ["train", str(cohort), "-o", str(root), *shipped, *TINY, "--json"])
    assert done.exit_code == 0, done.stderr
    assert (json.loads(done.stdout)["training"], json.loads(done.stdout)["validation"]) == (2, 2)
    assert "NormalizeHeadd" in (root / "configs" / "inference.yaml").read_text()
    assert "CC BY-NC-SA 4.0" in (root / "docs" / "data_license.txt").read_text()
    listed = json.loads((root / "training" / "dataset.json").read_text())
    assert listed["training"][0]["healthy_slices"] == [[0, 6]]


@pytest.mark.parametrize(("scans", "kept"), [(3, 1), (6, 2), (20, 9), (30, 9), (100, 20)])
def test_how_many_are_kept_back(scans, kept, tmp_path):
    for index in range(scans):
        (tmp_path / f"{index}.nii.gz").touch()
    training, validation = divide(list_cases(tmp_path))
    assert (len(training), len(validation)) == (scans - kept, kept)
    assert not {case.name for case in training} & {case.name for case in validation}


def test_the_scans_of_a_patient_stay_together(tmp_path):
    listed = []
    for index in range(12):
        array = np.random.default_rng(index).integers(0, 99, (8, 8, 4)).astype(np.int16)
        nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / f"{index}.nii.gz")
        listed.append({"image": f"{index}.nii.gz", "patient": f"p{index // 3}"})
    (tmp_path / "dataset.json").write_text(json.dumps({"training": listed}))
    sections = gather(tmp_path).sections
    patients = [{case.meta["patient"] for case in cases} for cases in sections.values()]
    assert not patients[0] & patients[1]
    assert sum(map(len, sections.values())) == 12


@pytest.mark.parametrize("kind", ["dicom", "bids"])
def test_a_folder_says_whose_its_scans_are(tmp_path, kind):
    """Nobody wrote a datalist: the scans of one patient still stay together, and are told to the calibration."""
    for index in range(6):
        if kind == "dicom":
            change = functools.partial(belongs_to, f"P{index // 2}")
            write_series(tmp_path / str(index), slices=4, uid=f"1.2.{index}", seed=index, change=change)
        else:
            array = np.random.default_rng(index).integers(0, 99, (8, 8, 4)).astype(np.int16)
            name = f"sub-{index // 2:02d}_ses-{index % 2}_FLAIR.nii.gz"
            nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / name)
    data = gather(tmp_path)
    training, validation = ({case.patient for case in cases} for cases in data.sections.values())
    assert not training & validation
    assert len(training | validation) == 3
    data.datalist(tmp_path).write()
    items = [item for section in ("training", "validation") for item in list_runs(tmp_path, section)]
    assert len({item["patient"] for item in items}) == 3
    assert "P0" not in (tmp_path / "dataset.json").read_text(), "PatientID is never written"


def belongs_to(patient, _, dataset):
    dataset.PatientID = patient


def test_a_config_keeps_its_comments_and_the_rest():
    text = "# head\na: 1  # one\nlist:\n- _target_: X\n  keys: image\n\nlast: {b: 2}\n"
    changed = _changed(text, {"a": 5, "list::0::keys": "label", "new": ["$x", "@y"]})
    assert changed == "# head\na: 5  # one\nlist:\n- _target_: X\n  keys: label\n\nlast: {b: 2}\nnew: [$x, '@y']\n"
