"""`healthytwin plant`: a labelled cohort from healthy scans."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bright import AFFINE, head, write_nifti

from data_prep import list_cases


@pytest.fixture
def healthy(tmp_path):
    """Three healthy heads in a datalist; the last may be learned from in its slices 2 to 8 only."""
    for name in "abc":
        write_nifti(tmp_path / "scans" / f"{name}.nii.gz", head() * 10)
    entries = [{"image": f"{name}.nii.gz"} for name in "abc"]
    entries[2]["healthy_slices"] = [[0, 1], [2, 8]]
    (tmp_path / "scans" / "dataset.json").write_text(json.dumps({"validation": entries}))
    return tmp_path / "scans"


def volume(path):
    image = nib.load(path)
    return np.asarray(image.dataobj), image.affine


def test_each_scan_comes_as_it_is_and_again_with_lesions(healthytwin, healthy, tmp_path):
    done = healthytwin(
        "plant", healthy, "-o", tmp_path / "cohort", "--families", "shift,cored", "--copies", 2, "--json"
    )
    assert done.exit_code == 0
    record = json.loads(done.stdout)
    assert (record["healthy"], record["planted"], record["bare"]) == (3, 6, [])
    cases = list_cases(tmp_path / "cohort", "test")
    assert [case.name for case in cases][:3] == ["a_healthy", "a_planted1", "a_planted2"]
    assert [case.meta["patient"] for case in cases] == [*"aaabbbccc"]
    source = head() * 10
    for case in cases[:3]:
        (image, affine), (label, label_affine) = volume(case.image), volume(case.label)
        np.testing.assert_allclose(affine, AFFINE)
        np.testing.assert_allclose(label_affine, AFFINE)
        changed = np.abs(image - source) > 1e-3
        if case.name.endswith("healthy"):
            assert not label.any()
            assert not changed.any()
        else:
            assert label.any()
            assert changed[label > 0].mean() > 0.9
            assert np.abs(image - source)[label > 0].mean() > 0.1 * 600, "in the scan's own units"


def test_a_scan_with_healthy_slices_is_cut_to_the_longest_run(healthytwin, healthy, tmp_path):
    assert healthytwin("plant", healthy, "-o", tmp_path / "cohort", "--families", "shift").exit_code == 0
    image, affine = volume(tmp_path / "cohort" / "images" / "c_healthy.nii.gz")
    np.testing.assert_array_equal(image, (head() * 10)[..., 2:8])
    np.testing.assert_allclose(affine[:3, 3], AFFINE[:3, 3] + 2 * AFFINE[:3, 2])


def test_same_seed_same_lesions_other_seed_others(healthytwin, healthy, tmp_path):
    for name, seed in (("one", 4), ("two", 4), ("three", 5)):
        healthytwin("plant", healthy, "-o", tmp_path / name, "--families", "shift", "--seed", seed)
    one, two, three = (volume(tmp_path / name / "images" / "a_planted1.nii.gz")[0] for name in ("one", "two", "three"))
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - three).max() > 0


def test_what_is_learned_from_stays_in_the_datalist(healthytwin, healthy, tmp_path):
    datalist = json.loads((healthy / "dataset.json").read_text())
    first, *rest = datalist.pop("validation")
    (healthy / "dataset.json").write_text(json.dumps({"held_out": [first], "training": rest}))
    arguments = ["-o", tmp_path / "cohort", "--families", "shift", "--section", "held_out"]
    assert healthytwin("plant", healthy / "dataset.json", *arguments).exit_code == 0
    assert [case.name for case in list_cases(tmp_path / "cohort", "test")] == ["a_healthy", "a_planted1"]
    learned = list_cases(tmp_path / "cohort", "training")
    assert [Path(case.image) for case in learned] == [healthy / "b.nii.gz", healthy / "c.nii.gz"]
    assert learned[1].healthy_slices == ((0, 1), (2, 8))
    assert "validation" not in json.loads((tmp_path / "cohort" / "dataset.json").read_text())


def test_a_folder_has_no_scans_that_are_learned_from(healthytwin, healthy, tmp_path):
    (healthy / "dataset.json").unlink()
    arguments = ["-o", tmp_path / "cohort", "--families", "shift", "--section", "held_out"]
    assert healthytwin("plant", healthy, *arguments).exit_code == 0
    assert list(json.loads((tmp_path / "cohort" / "dataset.json").read_text())) == [
        "name",
        "families",
        "radius",
        "seed",
        "test",
    ]


def test_a_bad_scan_is_named_and_the_rest_is_done(healthytwin, healthy, tmp_path):
    (healthy / "b.nii.gz").write_bytes(b"no image")
    done = healthytwin("plant", healthy, "-o", tmp_path / "cohort", "--families", "shift")
    assert done.exit_code == 3
    assert "b.nii.gz" in done.stderr
    assert [case.name for case in list_cases(tmp_path / "cohort", "test")] == [
        "a_healthy",
        "a_planted1",
        "c_healthy",
        "c_planted1",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--families", "gremlins"], "gremlins"),
        (["--families", ","], "got none"),
        (["--radius", 9, 3], "smaller one first"),
    ],
)
def test_usage(healthytwin, healthy, tmp_path, options, words):
    done = healthytwin("plant", healthy, "-o", tmp_path / "cohort", *options)
    assert done.exit_code == 2
    assert words in done.stderr
    assert not (tmp_path / "cohort").exists()


def test_no_scan_at_all(healthytwin, tmp_path):
    (tmp_path / "empty").mkdir()
    done = healthytwin("plant", tmp_path / "empty", "-o", tmp_path / "cohort")
    assert done.exit_code == 2
    assert "no scan" in done.stderr
