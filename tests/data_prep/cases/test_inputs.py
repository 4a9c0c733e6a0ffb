"""Cases: found in datalists, files and folders, with names that do not collide."""

import json
import shutil

import pytest

from data_prep import InputError, list_cases, list_items, read_volume


def test_datalist_sections(cohort):
    assert [case.name for case in list_cases(cohort, "training")] == ["training-0", "training-1"]
    assert list_cases(cohort) == list_cases(cohort / "dataset.json", "test")
    first = list_cases(cohort, "training")[0]
    assert first.healthy_slices == ((0, 6),)
    assert list_items(cohort)[0] == {
        "image": str(cohort / "test-0.nii.gz"),
        "label": str(cohort / "label-0.nii.gz"),
        "case": "test-0",
    }


def test_folder_tree_with_equal_names(cohort, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(cohort / "test-0.nii.gz", tmp_path / folder / "scan.nii.gz")
    (tmp_path / "notes.txt").write_text("junk")
    assert [case.name for case in list_cases(tmp_path)] == ["scan", "scan-2"]


def test_single_file(cohort):
    assert [case.name for case in list_cases(cohort / "test-1.nii.gz")] == ["test-1"]


def test_nothing_there_is_an_empty_list(tmp_path):
    assert list_cases(tmp_path) == []


def test_links_are_not_followed(cohort, tmp_path):
    (tmp_path / "link").symlink_to(cohort)
    assert list_cases(tmp_path) == []


def test_missing_place(tmp_path):
    with pytest.raises(InputError, match="MISSING_FILE"):
        list_cases(tmp_path / "nowhere")


def test_sections_in_the_order_test_validation_training(tmp_path):
    datalist = {"test": [], "validation": ["b.nii"], "training": ["a.nii"]}
    (tmp_path / "dataset.json").write_text(json.dumps(datalist))
    assert [case.name for case in list_cases(tmp_path)] == ["b"]
    assert list_cases(tmp_path, "test") == []


def test_items_hold_no_nothing(tmp_path):
    entry = {"image": "a.nii.gz", "label": None, "healthy_slices": [], "age": None, "site": "A", "case": "mine"}
    (tmp_path / "dataset.json").write_text(json.dumps({"training": [entry]}))
    assert list_items(tmp_path) == [{"image": str(tmp_path / "a.nii.gz"), "case": "a", "site": "A"}]


def test_a_bad_series_in_a_datalist_is_a_case_that_fails_alone(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "dataset.json").write_text(json.dumps({"test": ["empty", "gone.nii.gz"]}))
    assert [case.name for case in list_cases(tmp_path)] == ["empty", "gone"]
    for case, code in zip(list_cases(tmp_path), ["NOT_AN_IMAGE", "MISSING_FILE"], strict=True):
        with pytest.raises(InputError, match=code):
            read_volume(case.image)


def test_a_named_file_that_is_no_image_is_a_case_with_a_reason(tmp_path):
    (tmp_path / "notes.txt").write_text("junk")
    (case,) = list_cases(tmp_path / "notes.txt")
    with pytest.raises(InputError, match=r"notes\.txt is not an image \[NOT_AN_IMAGE\]"):
        read_volume(case.image)


def test_names_are_in_natural_order_and_never_collide(cohort, tmp_path):
    for name in ("a/s.nii", "b/s-2.nii", "c/S.nii", "d/s10.nii", "d/s9.nii", "d/._s9.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [case.name for case in list_cases(tmp_path)] == ["s", "s-2", "S-3", "s9", "s10"]


@pytest.mark.parametrize("name", ["run", "METRICS", "dataset"])
def test_a_name_that_records_of_a_run_have_gets_a_number(tmp_path, name):
    """`run.nii.gz` had its finding `run.json` replaced by the record of the run."""
    (tmp_path / f"{name}.nii.gz").write_bytes(b"")
    assert [case.name for case in list_cases(tmp_path)] == [f"{name}-2"]
    assert [case.name for case in list_cases(tmp_path / f"{name}.nii.gz")] == [f"{name}-2"]


def test_series_below_a_series_are_told_apart(tmp_path):
    from dicom_maker import write_series

    write_series(tmp_path)
    write_series(tmp_path / "sub", uid="1.2.4")
    cases = {case.series_uid: case.image for case in list_cases(tmp_path)}
    assert cases == {"1.2.3": str(tmp_path / "1.2.3-001"), "1.2.4": str(tmp_path / "sub")}
    assert all(read_volume(image).series_uid == uid for uid, image in cases.items())


def test_a_stray_file_called_dicom_is_listed_to_be_refused(tmp_path):
    (tmp_path / "scan.dcm").write_bytes(b"junk")
    (case,) = list_cases(tmp_path)
    with pytest.raises(InputError, match="NOT_DICOM"):
        read_volume(case.image)


BAD_RUNS = [f'{{"test": [{{"image": "a.nii", "healthy_slices": {runs}}}]}}' for runs in ("[[5, 2]]", "[3]", "3")]


@pytest.mark.parametrize(
    "content",
    [
        *BAD_RUNS,
        '{"test": [{"image": [null]}]}',
        "{",
        "[]",
        '{"test": 3}',
        '{"test": [{"label": "x"}]}',
        '{"training": []}',
    ],
)
def test_bad_datalists_are_named(tmp_path, content):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(InputError, match=r"dataset\.json.*BAD_DATALIST"):
        list_cases(tmp_path, "test")


def test_datalist_may_name_dicom_folders(tmp_path):
    from dicom_maker import write_series

    write_series(tmp_path / "series")
    (tmp_path / "dataset.json").write_text(json.dumps({"test": [{"image": "series", "site": "A"}]}))
    case = list_cases(tmp_path)[0]
    assert case.series_uid == "1.2.3"
    assert len(case.name) == 12
    assert case.meta == {"site": "A"}
