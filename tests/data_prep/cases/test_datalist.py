"""`Datalist`: read once and checked, handed on, written in one order."""

import json

import pytest

from data_prep import InputError, list_cases
from data_prep.cases.datalist import SECTIONS, Datalist


def write(path, **content):
    path.write_text(json.dumps(content))
    return path


def test_what_is_read_is_checked_and_written_again(tmp_path):
    path = write(
        tmp_path / "dataset.json",
        test=["c.nii"],
        name="mine",
        training=[{"image": "a.nii", "healthy_slices": [[0, 3]], "site": "A"}],
        numTest=1,
    )
    datalist = Datalist.read(path)
    assert list(datalist.sections) == ["training", "test"]
    assert datalist.about == {"name": "mine", "numTest": 1}
    assert not datalist.is_divided
    assert Datalist.read(datalist.write()) == datalist
    assert list(json.loads(path.read_text())) == ["name", "numTest", "training", "test"]


def test_sections_are_written_in_one_order(tmp_path):
    lists = {name: [{"image": f"{name}.nii"}] for name in reversed(SECTIONS)}
    written = json.loads(Datalist(path=tmp_path / "a.json", sections=lists).write().read_text())
    assert tuple(written) == SECTIONS


def test_a_datalist_is_handed_on_without_being_read_again(tmp_path):
    datalist = Datalist.at(write(tmp_path / "dataset.json", training=["a.nii"], test=["b.nii"]).parent)
    datalist.path.unlink()
    assert [case.name for case in list_cases(datalist, "training")] == ["a"]
    assert [case.image for case in list_cases(datalist)] == [str(tmp_path / "b.nii")]


def test_every_section_is_checked(tmp_path):
    path = write(tmp_path / "dataset.json", training=["a.nii"], test=[{"label": "b.nii"}])
    with pytest.raises(InputError, match="BAD_DATALIST"):
        list_cases(path, "training")


def test_other_lists_are_sections_when_asked_for(tmp_path):
    datalist = Datalist.read(write(tmp_path / "a.json", held_out=["a.nii"], training=["b.nii"], authors=["Me"]))
    assert [dict(entry) for entry in datalist.section("held_out")] == [{"image": "a.nii"}]
    with pytest.raises(InputError, match=r"no section 'test' .* training"):
        datalist.section("test")


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"[" * 100_000, "BAD_DATALIST"), (b"\xff\xfe", "BAD_DATALIST"), (b"{}", "BAD_DATALIST"), (None, "MISSING_FILE")],
)
def test_what_is_no_datalist_is_named(tmp_path, content, code):
    if content is not None:
        (tmp_path / "list.json").write_bytes(content)
    with pytest.raises(InputError, match=rf"list\.json.*{code}"):
        Datalist.at(tmp_path / "list.json")


def test_a_folder_or_an_image_is_no_datalist(tmp_path):
    assert Datalist.at(tmp_path) is None
    assert Datalist.at(tmp_path / "scan.nii") is None
