"""Several sequences of one visit: found together, on one grid, refused where they lie apart."""

import json

import nibabel as nib
import numpy as np
import pytest
from conftest import rotated_affine

from data_prep import InputError, list_cases, list_items
from data_prep.cases.inputs import group_visits
from data_prep.cases.visit import MISSING, read_visit
from data_prep.find.sequences import place_of, visits
from data_prep.volume import Volume

AFFINE = rotated_affine((2.0, 2.0, 4.0), angle=0.1)


def blob(shape=(20, 22, 8), affine=AFFINE, name="a.nii.gz"):
    """A volume whose values are a smooth function of the place in the scanner."""
    places = np.indices(shape).reshape(3, -1)
    world = affine[:3, :3] @ places + affine[:3, 3:]
    return Volume((100 + world.sum(axis=0)).reshape(shape).astype(np.float32), affine, name, input_hash=name)


def grow(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(np.arange(4 * 5 * 3, dtype=np.int16).reshape(4, 5, 3), AFFINE), root / name)


def test_a_sequence_on_another_grid_is_resampled_onto_the_first():
    other = AFFINE @ np.diag([1.3, 0.9, 0.5, 1.0])
    other[:3, 3] -= other[:3, :3] @ (3, 3, 3)
    visit = read_visit([blob, lambda: blob((26, 32, 24), other, "b.nii.gz")])
    first, second = visit.sequences
    np.testing.assert_allclose(second[3:-3, 3:-3, 1:-1], first[3:-3, 3:-3, 1:-1], atol=0.05)
    assert visit.flags == ("resampled",)
    assert visit.array is first


def test_sequences_that_do_not_lie_in_one_place_are_refused():
    far = AFFINE.copy()
    far[:3, 3] += 500
    with pytest.raises(InputError, match=r"b\.nii\.gz covers 0% of a\.nii\.gz.*MIXED_GRID"):
        read_visit([blob, lambda: blob(affine=far, name="b.nii.gz")])


def test_a_missing_sequence_is_said_and_the_hash_tells_which():
    one, other = read_visit([blob, None]), read_visit([None, blob])
    assert (one.flags, other.flags) == (("missing_1",), ("missing_0",))
    assert one.input_hash != other.input_hash
    assert one.sequences[1] is None
    assert read_visit([blob]).sequences == ()


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["case0/T1.nii.gz", "case0/FLAIR.nii.gz", "case1/T1.nii.gz", "case1/FLAIR.nii.gz"], "t1,flair"),
        (["a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz"], "t1,flair"),
        (["BraTS20_1/BraTS20_1_t1.nii", "BraTS20_1/BraTS20_1_flair.nii", "BraTS20_1/BraTS20_1_seg.nii"], "t1,flair"),
        (["IXI-T1/IXI002-Guys-0828-T1.nii.gz", "IXI-T2/IXI002-Guys-0828-T2.nii.gz"], "T1,T2"),
        (["sub-1/anat/sub-1_acq-3d_T1w.nii.gz", "sub-1/anat/sub-1_FLAIR.nii.gz"], "T1w,flair"),
        (["t1/x.nii.gz", "flair/x.nii.gz", "t1/y.nii.gz", "flair/y.nii.gz"], "t1,flair"),
    ],
)
def test_files_of_one_visit_become_one_case(tmp_path, names, wanted):
    grow(tmp_path, *names)
    cases = group_visits(list_cases(tmp_path), wanted.split(","))
    assert all(len(case.images) == 2 and all(case.images) for case in cases), cases
    assert len(cases) == len({name for name in names if "seg" not in name}) // 2
    assert len({case.name for case in cases}) == len(cases)
    assert cases[0].volume().sequences[1].shape == (4, 5, 3)


def test_what_has_but_one_of_the_sequences_is_a_case_with_a_gap(tmp_path):
    grow(tmp_path, "a_t1.nii.gz", "a_flair.nii.gz", "b_flair.nii.gz")
    cases = group_visits(list_cases(tmp_path), ["t1", "flair"])
    assert [[bool(image) for image in case.images] for case in cases] == [[True, True], [False, True]]


def test_a_word_or_number_that_differs_in_no_visit_is_no_sequence():
    paths = ["subject_t1_01.nii", "subject_t1_02.nii", "scan_2001.nii", "scan_2002.nii"]
    assert [one.sequence for one in visits(paths)] == [""] * 4
    assert place_of("0003", ["t1", "t2"]) is None


def test_a_datalist_lists_visits(tmp_path):
    grow(tmp_path, "i/a_0000.nii.gz", "i/a_0001.nii.gz", "i/b_0001.nii.gz")
    entries = [{"image": ["i/a_0000.nii.gz", "i/a_0001.nii.gz"]}, {"image": [None, "i/b_0001.nii.gz"]}]
    (tmp_path / "dataset.json").write_text(json.dumps({"modality": {"0": "t1", "1": "flair"}, "training": entries}))
    items = list_items(tmp_path, "training")
    assert [item["case"] for item in items] == ["a", "b"]
    assert items[1]["image"][0] == MISSING
    assert list_cases(tmp_path, "training")[1].volume().flags == ("missing_0",)
