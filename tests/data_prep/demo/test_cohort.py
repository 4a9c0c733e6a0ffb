"""The cohort on disk: the same bytes twice, a datalist that can be read, labels that keep their promise."""

import hashlib
import json

import nibabel as nib
import numpy as np
import pytest

from data_prep import list_cases, read_volume
from data_prep.demo import TINY, make_cohort


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    return make_cohort(out, seed=3, training=1, validation=2, grid=TINY, lesion_ml=(20, 40, 30)).parent


def test_two_runs_write_the_same_bytes(folder, tmp_path):
    make_cohort(tmp_path, seed=3, training=1, validation=2, grid=TINY, lesion_ml=(20, 40, 30))
    assert hashes(tmp_path) == hashes(folder)


def test_another_seed_makes_other_heads(folder, tmp_path):
    make_cohort(tmp_path, seed=4, healthy=1, lesions=0, dicom=0, grid=TINY)
    name = "labels/healthy-01.nii.gz"
    one, other = (nib.load(root / name) for root in (folder, tmp_path))
    assert not np.allclose(one.affine, other.affine)


def test_more_cases_leave_the_others_as_they_were(folder, tmp_path):
    make_cohort(tmp_path, seed=3, healthy=2, lesions=1, dicom=0, grid=TINY, lesion_ml=(20,))
    fewer, more = hashes(tmp_path), hashes(folder)
    assert fewer["images/healthy-02.nii.gz"] == more["images/healthy-02.nii.gz"]
    assert fewer["labels/lesion-01.nii.gz"] == more["labels/lesion-01.nii.gz"]


def test_datalist_names_every_file_that_was_written(folder):
    datalist = json.loads((folder / "dataset.json").read_text())
    entries = [entry for section in ("training", "validation", "test") for entry in datalist[section]]
    named = {entry[key] for entry in entries for key in ("image", "label") if key in entry}
    written = {str(path.relative_to(folder)) for path in folder.rglob("*.nii.gz")}
    written |= {str(path.relative_to(folder)) for path in (folder / "dicom").iterdir()}
    assert named == written
    assert [len(datalist[section]) for section in ("training", "validation", "test")] == [1, 2, 5]
    assert all("label" not in entry for entry in datalist["training"] + datalist["validation"])


def test_every_test_case_reads_and_has_the_label_on_its_grid(folder):
    cases = list_cases(folder / "dataset.json", "test")
    assert sum(case.series_uid is not None for case in cases) == 2
    for case in cases:
        volume, label = read_volume(case.image), nib.load(case.label)
        assert volume.shape == label.shape == TINY.shape
        np.testing.assert_allclose(volume.affine, label.affine, atol=1e-3)
        assert volume.array.min() >= 0
        assert volume.array.max() <= 4095


def test_labels_have_the_promised_volume_inside_the_head(folder):
    voxel_ml = TINY.voxel_ml
    cases = list_cases(folder / "dataset.json", "test")
    found = {}
    for case in cases:
        mask = np.asarray(nib.load(case.label).dataobj)
        assert set(np.unique(mask)) <= {0, 1}
        found[case.label.rsplit("/", 1)[-1][:9]] = mask.sum() * voxel_ml
        tissue = read_volume(case.image).array[mask > 0]
        assert not (tissue < 10).any()  # air is below, the dark core of a lesion above
    assert found["lesion-01"] == pytest.approx(20, abs=voxel_ml)
    assert found["lesion-02"] == pytest.approx(40, abs=voxel_ml)
    assert found["lesion-03"] == pytest.approx(30, abs=voxel_ml)
    assert found["healthy-0"] == 0


def test_every_second_scan_is_oblique(folder):
    def is_oblique(name):
        return nib.affines.obliquity(nib.load(folder / "labels" / f"{name}.nii.gz").affine).max() > 0.01

    names = ("lesion-01", "lesion-02", "lesion-03", "healthy-01", "healthy-02")
    assert [is_oblique(name) for name in names] == [True, False, True, True, False]


@pytest.mark.parametrize("wrong", [{"healthy": -1}, {"dicom": 6}, {"contrast": "ct"}, {"kinds": ("odd",)}])
def test_impossible_orders_are_refused(wrong, tmp_path):
    with pytest.raises(ValueError, match=r"numbers of scans|contrast must be|kind must be"):
        make_cohort(tmp_path, grid=TINY, **wrong)
    assert not (tmp_path / "dataset.json").exists()
