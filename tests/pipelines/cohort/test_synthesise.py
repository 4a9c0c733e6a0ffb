"""`healthytwin synthesise`: healthy scans from label maps."""

import hashlib
import json

import nibabel as nib
import numpy as np
import pytest

from data_prep import list_cases

OPTIONS = ("--contrast", "flair,t2", "--pixel", 6, 6, "--slices", 8, 8)


@pytest.fixture
def maps(tmp_path):
    """Two label maps of shells, and a file that is none."""
    folder = tmp_path / "maps"
    folder.mkdir()
    grid = np.meshgrid(*(np.linspace(-1.1, 1.1, n) for n in (32, 36, 32)), indexing="ij")
    distance = np.sqrt(sum(axis**2 for axis in grid))
    for name, brain in (("one", 0.8), ("two", 0.7)):
        array = np.zeros(distance.shape, dtype=np.int16)
        for radius, number in ((1.0, 511), (0.9, 24), (brain, 3), (0.6, 2), (0.2, 4)):
            array[distance < radius] = number
        nib.save(nib.Nifti1Image(array, np.diag([5.0, 5, 5, 1])), folder / f"{name}.nii.gz")
    return folder


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*.nii.gz"))}


def test_every_head_in_every_contrast_and_a_datalist_of_them(healthytwin, maps, tmp_path):
    done = healthytwin("synthesise", maps, "-o", tmp_path / "heads", *OPTIONS, "--json")
    assert done.exit_code == 0
    record = json.loads(done.stdout)
    assert (record["heads"], record["scans"]) == (2, 4)
    cases = list_cases(tmp_path / "heads", "validation")
    assert [case.name for case in cases] == ["one-flair-1", "one-t2-1", "two-flair-1", "two-t2-1"]
    volume = cases[0].volume()
    np.testing.assert_allclose(volume.spacing, (6, 6, 8), rtol=1e-5)
    recipe = json.loads((tmp_path / "heads" / "recipes" / "one-flair-1.json").read_text())
    assert recipe["geometry"]["spacing"] == [6.0, 6.0, 8.0]


def test_a_scan_depends_on_its_name_and_the_seed_alone(healthytwin, maps, tmp_path):
    assert healthytwin("synthesise", maps, "-o", tmp_path / "a", *OPTIONS).exit_code == 0
    assert healthytwin("synthesise", maps / "two.nii.gz", "-o", tmp_path / "b", *OPTIONS).exit_code == 0
    assert healthytwin("synthesise", maps, "-o", tmp_path / "c", *OPTIONS, "--seed", 1).exit_code == 0
    everything, alone, other = (hashes(tmp_path / name) for name in "abc")
    assert alone == {name: value for name, value in everything.items() if name.startswith("two")}
    assert not set(other.values()) & set(everything.values())


def test_a_file_that_is_no_label_map_is_refused_and_the_rest_is_done(healthytwin, maps, tmp_path):
    nib.save(
        nib.Nifti1Image(np.full((8, 8, 8), 77.5, np.float32) + np.eye(8, dtype=np.float32), np.eye(4)),
        maps / "scan.nii.gz",
    )
    done = healthytwin("synthesise", maps, "-o", tmp_path / "heads", *OPTIONS, "--json")
    assert done.exit_code == 3
    [refused] = json.loads(done.stdout)["refused"]
    assert (refused["case"], refused["code"]) == ("scan.nii.gz", "UNKNOWN_LABELS")


@pytest.mark.parametrize("option", [("--contrast", "ct"), ("--pixel", 2, 1), ("--stripped", "maybe")])
def test_what_makes_no_sense_is_said(healthytwin, maps, tmp_path, option):
    done = healthytwin("synthesise", maps, "-o", tmp_path / "heads", *option)
    assert done.exit_code == 2
    assert str(option[0]).lstrip("-") in done.stderr
