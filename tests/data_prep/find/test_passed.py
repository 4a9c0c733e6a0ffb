"""What is passed over is counted and named; what looks passed over and is not, is read."""

import os
import zipfile

import nibabel as nib
import numpy as np
import pytest
from conftest import rotated_affine
from dicom_maker import write_series
from format_maker import VOXELS

from data_prep import Verdict, discover, list_cases, read_volume
from data_prep.find.passed import Passed, PassedOver, Why


def save(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(VOXELS, rotated_affine((1.0, 1.0, 3.0))), path)
    return path


def annexed(root, name, *, there=True):
    """A file in a DataLad data set: a link to its content in the store, which was fetched or was not."""
    content = root / ".git" / "annex" / "objects" / "aB" / f"MD5-{name.rpartition('/')[2]}"
    link = root / name
    link.parent.mkdir(parents=True, exist_ok=True)
    if there:
        save(content)
    link.symlink_to(os.path.relpath(content, link.parent))
    return link


def test_links_into_a_data_sets_store_are_read(tmp_path):
    link = annexed(tmp_path / "ds", "sub-01/anat/sub-01_FLAIR.nii.gz")
    for place in (tmp_path, tmp_path / "ds" / "sub-01", link):
        (series,) = discover(place)
        assert (series.name, series.code) == ("sub-01_FLAIR", "")
        np.testing.assert_array_equal(series.volume().array, VOXELS)


@pytest.mark.parametrize(
    ("store", "link"),
    [
        (".git/modules/sub/annex/objects/aB/KEY", "sub/anat/scan.nii.gz"),
        (".dvc/cache/files/md5/12/3456", "anat/scan.nii.gz"),
        ("blobs/abcdef", "snapshots/main/anat/scan.nii.gz"),
    ],
)
def test_stores_of_other_managers(tmp_path, store, link):
    content = save(tmp_path / "ds" / f"{store}.nii.gz")
    content = content.rename(tmp_path / "ds" / store)
    (tmp_path / "ds" / link).parent.mkdir(parents=True)
    (tmp_path / "ds" / link).symlink_to(content)
    assert [series.name for series in discover(tmp_path / "ds")] == ["scan"]


@pytest.mark.parametrize("store", [".git/config", ".git/hooks/scan.nii.gz", "blobs/scan.nii.gz", "../scan.nii.gz"])
def test_what_is_no_store(tmp_path, store):
    target = tmp_path / "ds" / store
    save(target.with_name("made.nii.gz")).rename(target)
    (tmp_path / "ds" / "anat").mkdir(parents=True)
    (tmp_path / "ds" / "anat" / "other.nii.gz").symlink_to(target)
    assert "other" not in [series.name for series in discover(tmp_path / "ds")]


def test_other_links_and_absent_content_are_counted_and_named(tmp_path):
    save(tmp_path / "elsewhere" / "scan.nii")
    (tmp_path / "ds").mkdir()
    (tmp_path / "ds" / "scan.nii").symlink_to(tmp_path / "elsewhere" / "scan.nii")
    (tmp_path / "ds" / "folder").symlink_to(tmp_path / "elsewhere")
    annexed(tmp_path / "ds", "gone.nii.gz", there=False)
    passed = PassedOver()
    assert list(discover(tmp_path / "ds", passed=passed)) == []
    assert list(passed) == [
        Passed(Why.LINK, "", 1, "folder"),
        Passed(Why.LINK, ".nii", 1, "scan.nii"),
        Passed(Why.ABSENT, ".nii.gz", 1, "gone.nii.gz"),
    ]
    assert passed.sentence() == (
        "passed over: 2 links (no ending 1, .nii 1), such as folder; "
        "1 link to a file that is not here (.nii.gz 1), such as gone.nii.gz"
    )
    assert "gone" not in passed.sentence(named=False)


@pytest.mark.parametrize("workers", [1, 2])
def test_files_that_are_no_images_are_counted_and_no_part_of_one_is(tmp_path, workers):
    write_series(tmp_path / "series")
    nib.save(nib.Nifti1Pair(VOXELS, rotated_affine((1.0, 1.0, 3.0))), tmp_path / "pair.hdr")
    for number in range(600):
        (tmp_path / f"{number}.TXT").write_bytes(b"words")
    (tmp_path / "1.2.840.113").write_bytes(b"no DICOM")
    (tmp_path / "alone.img").write_bytes(b"no image")
    passed = PassedOver()
    assert len(list(discover(tmp_path, passed=passed, workers=workers))) == 2
    assert {kind.suffix: kind.files for kind in passed} == {".txt": 600, "": 1, ".img": 1}
    assert len(passed) == 602


def test_pipes_and_devices_are_never_opened(tmp_path):
    os.mkfifo(tmp_path / "scan.nii")
    os.mkfifo(tmp_path / "dataset.json")
    passed = PassedOver()
    assert list(discover(tmp_path, passed=passed)) == []
    assert [kind.why for kind in passed] == [Why.SPECIAL] * 2
    (series,) = discover(tmp_path / "scan.nii")
    assert (series.code, series.verdict) == ("UNREADABLE", Verdict.QUARANTINE)
    with pytest.raises(Exception, match="UNREADABLE"):
        read_volume(tmp_path / "scan.nii")
    with pytest.raises(Exception, match="UNREADABLE"):
        list_cases(tmp_path / "dataset.json")
    assert list_cases(tmp_path) == []


def test_backslashes_separate_folders_in_an_archive(tmp_path):
    write_series(tmp_path / "series")
    save(tmp_path / "scan.nii.gz")
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for file in (tmp_path / "series").iterdir():
            archive.write(file, f"CASE01\\SERIES1\\{file.name}")
        archive.writestr("CASE01\\SERIES2\\", b"")
        archive.writestr("CASE01\\SERIES2\\BAD.dcm", (tmp_path / "series").joinpath(file.name).read_bytes()[:250])
        archive.write(tmp_path / "scan.nii.gz", "CASE01\\nifti\\scan.nii.gz")
    found = {series.name: series for series in discover(tmp_path / "study.zip")}
    assert [(series.kind, series.verdict.value) for series in found.values()] == [
        ("nifti", "ACCEPT"),
        ("dicom", "ACCEPT"),
        ("file", "QUARANTINE"),
    ]
    assert found["scan"].place == f"{tmp_path}/study.zip/CASE01/nifti/scan.nii.gz"
    np.testing.assert_array_equal(read_volume(found["scan"].place).array, VOXELS)
    np.testing.assert_array_equal(
        read_volume(tmp_path / "study.zip" / "CASE01" / "SERIES1").array, read_volume(tmp_path / "series").array
    )


def test_archives_of_zip64_are_read(tmp_path):
    save(tmp_path / "scan.nii")
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w") as archive,
        archive.open("deep/er/scan.nii", "w", force_zip64=True) as f,
    ):
        f.write((tmp_path / "scan.nii").read_bytes())
    content = (tmp_path / "a.zip").read_bytes()
    at = content.rindex(b"PK\5\6")
    count, size, start = (int.from_bytes(content[at + a : at + b], "little") for a, b in ((10, 12), (12, 16), (16, 20)))
    record = b"PK\6\6" + (44).to_bytes(8, "little") + bytes((45, 0, 45, 0)) + bytes(8)
    record += b"".join(number.to_bytes(8, "little") for number in (count, count, size, start))
    locator = b"PK\6\7" + bytes(4) + at.to_bytes(8, "little") + (1).to_bytes(4, "little")
    end = b"PK\5\6" + bytes(4) + b"\xff" * 12 + bytes(2)
    (tmp_path / "b.zip").write_bytes(content[:at] + record + locator + end)
    for name in ("a.zip", "b.zip"):
        (series,) = discover(tmp_path / name)
        np.testing.assert_array_equal(series.volume().array, VOXELS)


def test_an_archive_that_claims_too_many_files_is_not_opened(tmp_path):
    record = (
        b"PK\6\6" + (44).to_bytes(8, "little") + bytes(12) + b"".join(n.to_bytes(8, "little") for n in (2**40,) * 4)
    )
    locator = b"PK\6\7" + bytes(4) + bytes(8) + (1).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(bytes(100) + record + locator + b"PK\5\6" + bytes(4) + b"\xff" * 12 + bytes(2))
    (series,) = discover(tmp_path / "a.zip")
    assert series.code == "TOO_LARGE"


@pytest.mark.parametrize("name", ["Study #2", "a#b", "ünïcode 頭部", "with space"])
def test_names_of_folders(tmp_path, name):
    write_series(tmp_path / name / "series")
    save(tmp_path / name / "scan #1.nii.gz")
    for series in discover(tmp_path):
        assert series.code == "", series.reason
        np.testing.assert_array_equal(read_volume(series.place).array, series.volume().array)
        (case,) = list_cases(series.place)
        assert case.name == series.name
