"""A folder a class: who is healthy, and whose mask is whose."""

from pathlib import Path

import pytest
from picture_maker import tree

from data_prep import InputError
from data_prep.cohort.classes import Classes
from data_prep.cohort.sources import find_scans

BREAST = Classes(healthy=("normal",), abnormal=("benign", "malignant"), masks="masks")


def found(folder, classes):
    layout, cases = find_scans(folder, classes=classes)
    assert layout == "classes"
    return {str(case.image.relative_to(folder)): case for case in cases}


def test_classes_say_who_is_healthy_and_masks_find_their_images(tmp_path):
    files = ("normal/n 1.png", "benign/b1.png", "malignant/m1.png", "masks/b1.png", "masks/m1_mask.png", "other/x.png")
    cases = found(tree(tmp_path, *files), BREAST)
    assert {name: case.healthy for name, case in cases.items()} == {
        "benign/b1.png": False,
        "malignant/m1.png": False,
        "normal/n 1.png": None,
    }
    assert cases["benign/b1.png"].label == tmp_path / "masks/b1.png"
    assert cases["malignant/m1.png"].label == tmp_path / "masks/m1_mask.png"
    assert cases["normal/n 1.png"].label is None
    assert len({case.patient for case in cases.values()}) == 3


def test_one_name_in_two_classes_finds_the_mask_of_its_own(tmp_path):
    files = ("normal/0.png", "benign/1.png", "malignant/1.png", "masks/benign/1.png", "masks/malignant/1.png")
    cases = found(tree(tmp_path, *files), BREAST)
    assert cases["benign/1.png"].label == tmp_path / "masks/benign/1.png"
    assert cases["malignant/1.png"].label == tmp_path / "masks/malignant/1.png"
    assert cases["benign/1.png"].patient != cases["malignant/1.png"].patient


def test_masks_beside_their_images(tmp_path):
    files = ("normal/normal (1).png", "benign/benign (1).png", "benign/benign (1)_mask.png")
    classes = Classes(healthy=("normal",), abnormal=("benign",), masks="_mask")
    cases = found(tree(tmp_path, *files), classes)
    assert set(cases) == {"normal/normal (1).png", "benign/benign (1).png"}
    assert cases["benign/benign (1).png"].label == tmp_path / "benign/benign (1)_mask.png"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("normal/a.png", "benign/b.png"), "malignant"),
        (("benign/b.png", "malignant/b.png"), "normal"),
        (("normal/a.png", "benign/b.png", "malignant/c.png", "masks/d.png"), "masks/d.png"),
    ],
)
def test_a_folder_or_mask_that_leads_to_nothing_is_an_error(tmp_path, files, said):
    with pytest.raises(InputError, match=said) as caught:
        find_scans(tree(tmp_path, *files), classes=BREAST)
    assert caught.value.code == "BAD_DATALIST"
    assert str(Path(tmp_path)) in str(caught.value)
