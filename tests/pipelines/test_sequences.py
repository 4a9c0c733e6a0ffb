"""T1 and FLAIR of one visit, from a folder to findings: never apart, and one of them may be missing."""

import json

import nibabel as nib
import numpy as np
import pytest
from conftest import phantom, rotated_affine

from data_prep import list_cases
from data_prep.cases.datalist import Datalist

AFFINE = rotated_affine((3.0, 3.0, 5.5), angle=0.1)
TINY = ["--epochs", "1", "--steps", "2", "--batch-size", "1"]


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, AFFINE), path)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Six visits, each a folder with `T1.nii.gz` and `FLAIR.nii.gz`; the last has no T1."""
    root = tmp_path_factory.mktemp("visits")
    for number in range(6):
        array, _ = phantom(seed=number)
        save(root / f"case{number}" / "FLAIR.nii.gz", array)
        if number < 5:
            save(root / f"case{number}" / "T1.nii.gz", (900 - array) * (array > 50))
    return root


@pytest.fixture(scope="module")
def bundle(scans, tmp_path_factory):
    from pipelines.train.run import train

    root = tmp_path_factory.mktemp("bundle") / "two"
    train(scans, root, sequences=["T1", "FLAIR"], settings={"epochs": 1, "steps": 2, "batch_size": 1})
    return root


def test_files_of_one_visit_do_not_become_patients_of_their_own(healthytwin, scans, tmp_path):
    done = healthytwin("prepare", scans, "-o", tmp_path / "cohort")
    assert done.exit_code == 2
    assert "flair, t1: name one sequence, or several" in " ".join(done.stderr.split())


@pytest.mark.parametrize("names", ["T1,FLAIR", "FLAIR"])
def test_a_visit_is_one_scan_of_one_patient(healthytwin, scans, tmp_path, names):
    done = healthytwin("prepare", scans, "-o", tmp_path / "cohort", "--sequence", names, "--json")
    assert done.exit_code == 0, done.stderr
    datalist = Datalist.read(tmp_path / "cohort" / "dataset.json")
    cases = [case for section in datalist.sections for case in list_cases(datalist, section)]
    assert sorted(case.patient for case in cases) == [f"case{number}" for number in range(6)]
    if names == "FLAIR":
        assert not any(case.images for case in cases)
        return
    assert datalist.sequences == ["T1", "FLAIR"]
    assert sum(case.images[0] is None for case in cases) == 1
    whole = next(case for case in cases if case.images[0])
    assert len(whole.volume().sequences) == 2
    assert whole.image.endswith("_0000.nii.gz")


def test_a_sequence_that_nobody_has_is_an_error(healthytwin, scans, tmp_path):
    done = healthytwin("prepare", scans, "-o", tmp_path / "cohort", "--sequence", "FLAIR,DWI")
    assert done.exit_code == 2
    assert "no DWI in it" in " ".join(done.stderr.split())


def test_the_network_has_a_channel_for_each(bundle):
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    image = metadata["network_data_format"]["inputs"]["image"]
    assert (image["num_channels"], image["channel_def"]) == (2, {"0": "T1", "1": "FLAIR"})
    assert metadata["network_data_format"]["outputs"]["pred"]["num_channels"] == 1


def test_a_visit_is_examined_with_or_without_one_of_them(healthytwin, bundle, scans, tmp_path):
    done = healthytwin("detect", scans / "case0", scans / "case5", "-o", tmp_path / "out", "--bundle", bundle, "--json")
    assert done.exit_code == 0, done.stderr
    cases = json.loads(done.stdout)["cases"]
    assert [(case["case"], case["status"], case["flags"]) for case in cases] == [
        ("case0", "done", []),
        ("case5", "done", ["missing_T1"]),
    ]
    mask = nib.load(tmp_path / "out" / "case0_mask.nii.gz")
    np.testing.assert_allclose(mask.affine, AFFINE, atol=1e-4)


def test_one_image_alone_is_refused_by_a_bundle_of_two(bundle, scans):
    from anomaly import load_detector
    from anomaly.volume import VolumeError
    from data_prep import read_volume

    with pytest.raises(VolumeError, match=r"looks at 2 sequences \(T1, FLAIR\), and FLAIR.nii.gz has 1"):
        load_detector(bundle, device="cpu").examine(read_volume(scans / "case0" / "FLAIR.nii.gz"))


def test_lesions_are_planted_and_evaluated_in_both(healthytwin, bundle, scans, tmp_path):
    healthytwin("prepare", scans, "-o", tmp_path / "cohort", "--sequence", "T1,FLAIR", "--split", "50,0,50")
    planted = healthytwin(
        "plant", tmp_path / "cohort", "--section", "test", "-o", tmp_path / "planted", "--families", "plateau", "--json"
    )
    assert planted.exit_code == 0, planted.stderr
    datalist = Datalist.read(tmp_path / "planted" / "dataset.json")
    assert datalist.sequences == ["T1", "FLAIR"]
    done = healthytwin("evaluate", tmp_path / "planted", "-o", tmp_path / "eval", "--bundle", bundle, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["voxel_ap"] > 0


def test_an_archive_takes_a_visit_as_one_case(healthytwin, bundle, scans, tmp_path):
    done = healthytwin("reprocess", scans, "-o", tmp_path / "archive", "--bundle", bundle, "--json")
    assert done.exit_code == 0, done.stderr
    assert len(list((tmp_path / "archive").rglob("*_mask.nii.gz"))) == 6


def test_a_benchmark_compares_methods_on_both(healthytwin, bundle, scans, tmp_path):
    healthytwin("prepare", scans, "-o", tmp_path / "cohort", "--sequence", "T1,FLAIR", "--split", "70,15,15")
    healthytwin("plant", tmp_path / "cohort", "--section", "test", "-o", tmp_path / "planted")
    options = ["--methods", "intensity,healthy_twin", "--bundle", bundle]
    done = healthytwin("benchmark", tmp_path / "planted", "-o", tmp_path / "b", *options)
    assert done.exit_code == 0, done.stderr
