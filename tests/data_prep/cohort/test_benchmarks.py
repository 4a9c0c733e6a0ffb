"""Benchmarks of pictures: small trees of the shape in which each is downloaded."""

import json

import pytest
from picture_maker import tree

from data_prep import InputError
from data_prep.cohort.sources import find_scans


def sections(folder, layout):
    found, cases = find_scans(folder)
    assert found == layout
    rows = {str(case.image.relative_to(folder)): case for case in cases}
    return rows, {name: case.section for name, case in rows.items()}


def good(count, folder="train/good"):
    return [f"{folder}/{number:03d}.png" for number in range(count)]


def test_mvtec(tmp_path):
    files = (
        *good(40),
        "test/good/000.png",
        "test/crack/000.png",
        "test/cut/000.png",
        "ground_truth/crack/000_mask.png",
        "ground_truth/cut/000_mask.png",
    )
    rows, section = sections(tree(tmp_path, *files), "mvtec")
    assert rows["test/crack/000.png"].label == tmp_path / "ground_truth/crack/000_mask.png"
    assert rows["test/cut/000.png"].label == tmp_path / "ground_truth/cut/000_mask.png"
    assert (rows["test/crack/000.png"].healthy, rows["test/good/000.png"].healthy) == (False, None)
    assert rows["test/good/000.png"].label is None
    counts = [list(section.values()).count(name) for name in ("training", "validation", "test")]
    assert counts == [31, 9, 3], "nine of the training are kept back, none of the test is used"
    assert len(rows) == 43


def test_bmad_with_masks(tmp_path):
    files = (
        *good(4),
        *good(2, "valid/good/img"),
        "valid/good/label/000.png",
        "valid/Ungood/img/7.png",
        "valid/Ungood/label/7.png",
        "test/good/img/1.png",
        "test/good/label/1.png",
        "test/Ungood/img/1.png",
        "test/Ungood/label/1.png",
    )
    rows, section = sections(tree(tmp_path, *files), "bmad")
    assert rows["test/Ungood/img/1.png"].label == tmp_path / "test/Ungood/label/1.png"
    assert rows["test/good/img/1.png"].label is None
    assert section["valid/good/img/000.png"] == "validation"
    assert rows["valid/Ungood/img/7.png"].series.code == "ABNORMAL_VALIDATION"
    assert section["train/good/000.png"] == "training"
    assert len(rows) == 9


def test_bmad_without_masks(tmp_path):
    files = (*good(4), "valid/good/1.png", "test/good/1.png", "test/Ungood/1.png")
    rows, section = sections(tree(tmp_path, *files), "bmad")
    assert (rows["test/Ungood/1.png"].healthy, rows["test/Ungood/1.png"].label) == (False, None)
    assert section == {**dict.fromkeys(good(4), "training"), "valid/good/1.png": "validation"} | {
        "test/good/1.png": "test",
        "test/Ungood/1.png": "test",
    }


def test_medianomaly_by_its_list(tmp_path):
    names = [f"{number}.png" for number in range(30)]
    tree(tmp_path, *(f"images/{name}" for name in names))
    lists = {"train": {"0": names[:20], "1": names[20:24]}, "test": {"0": names[24:27], "1": names[27:]}}
    (tmp_path / "data.json").write_text(json.dumps(lists))
    rows, section = sections(tmp_path, "medianomaly")
    assert {name for name, case in rows.items() if case.healthy is False} == {f"images/{name}" for name in names[27:]}
    assert "images/20.png" not in rows, "abnormal training cases are not learned from"
    assert sorted(set(section.values())) == ["test", "training", "validation"]
    assert list(section.values()).count("test") == 6
    (tmp_path / "images" / "3.png").unlink()
    with pytest.raises(InputError, match=r"3\.png"):
        find_scans(tmp_path)


def test_medianomaly_brats(tmp_path):
    files = (
        *(f"train/BraTS2021_{number:05d}_flair_70.png" for number in range(12)),
        "test/normal/BraTS2021_00100_flair_60.png",
        "test/tumor/BraTS2021_00101_flair_61.png",
        "test/annotation/BraTS2021_00101_seg_61.png",
    )
    rows, _ = sections(tree(tmp_path, *files), "medianomaly")
    tumour = rows["test/tumor/BraTS2021_00101_flair_61.png"]
    assert (tumour.label, tumour.section) == (tmp_path / "test/annotation/BraTS2021_00101_seg_61.png", "test")
    assert len(rows) == 14


def test_medianomaly_isic(tmp_path):
    for word, rows in (("Training", "A,0,1\nB,1,0\nC,0,1\nD,0,1\n"), ("Test", "E,0,1\nF,1,0\n")):
        base = f"ISIC2018_Task3_{word}"
        tree(tmp_path, *(f"{base}_Input/{row[0]}.jpg" for row in rows.split()))
        (tmp_path / f"{base}_GroundTruth").mkdir()
        table = tmp_path / f"{base}_GroundTruth" / f"{base}_GroundTruth.csv"
        table.write_text(f"image,MEL,NV\n{rows}".replace(",0,1", ",0.0,1.0"))
    rows, section = sections(tmp_path, "medianomaly")
    assert {name[-5] for name in rows} == set("ACDEF")
    assert rows["ISIC2018_Task3_Test_Input/F.jpg"].healthy is False
    assert section["ISIC2018_Task3_Test_Input/E.jpg"] == "test"


def test_several_sets_in_one_folder_are_not_mixed(tmp_path):
    tree(tmp_path, *(f"{name}/{file}" for name in ("Brain", "Chest") for file in (*good(3), "test/good/1.png")))
    with pytest.raises(InputError, match="Brain, Chest"):
        find_scans(tmp_path)


def test_other_folders_are_none(tmp_path):
    tree(tmp_path, "train/a/1.png", "train/b/2.png", "test/a/3.png")
    assert find_scans(tmp_path)[0] == "folder"
