"""Inputs made after public bug reports on other readers (../shared/cases): the right volumes, or the right refusal."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest

from data_prep import discover, read_volume

ROOT = Path(__file__).resolve().parents[3]
# Folder: what is found, as (code, slices) with how often.
RIGHT = {
    "06-big-endian-8bit-ow": {("", 8): 1},
    "07-ct-monochrome1": {("", 8): 1},
    "08-colour-capture-in-series": {("", 8): 1, ("NOT_GREYSCALE", None): 1},
    "09-lumbar-disc-slabs": {("", 4): 5},
    "16-enhanced-mag-phase": {("", 8): 2},
    "17-mangled-transfer-syntax": {("UNSUPPORTED_SYNTAX", None): 1},
    "27-mixed-complex-in-files": {("", 8): 2},
    "28-single-frame-enhanced-ti": {("", 5): 3},
    "29-enhanced-split-over-files": {("", 16): 1},
    "30-xa30-sbref-interleaved": {("", 16): 2},
    "32-enhanced-slice-per-file": {("", 6): 2},
    "33-enhanced-pet-single-frame": {("", 6): 1},
    "35-monitoring-slice": {("", 8): 1, ("SINGLE_SLICE", 1): 1},
    "36-duplicate-slice-same-pixels": {("", 8): 1},
    "41-positions-rounded-0p1": {("", 24): 1},
}


def case(name):
    folder = Path(os.environ.get("HEALTHYTWIN_CASES", ROOT.parent / "shared" / "cases")) / name
    if not folder.is_dir():
        pytest.skip(f"no input {folder}; set HEALTHYTWIN_CASES")
    return folder


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_found(name):
    found = [one.checked() for one in discover(case(name))]
    assert Counter((one.code, one.shape and one.shape[2]) for one in found) == RIGHT[name]


def stored_by_place(folder):
    """Stored values of every frame and single image of a folder, by (position, what else tells it apart)."""
    values = {}
    for file in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        groups = dataset.get("PerFrameFunctionalGroupsSequence") or [None]
        for group, pixels in zip(groups, dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns), strict=True):
            place = dataset if group is None else group.PlanePositionSequence[0]
            kind = group.get("MRImageFrameTypeSequence") if group is not None else None
            said = kind[0].ComplexImageComponent if kind else ""
            time = group.FrameContentSequence[0].TemporalPositionIndex if group is not None else 1
            key = (float(place.ImagePositionPatient[2]), said, time, str(dataset.get("InversionTime", "")))
            values[key] = pixels
    return values


@pytest.mark.parametrize("name", [name for name in RIGHT if name[:2] in ("16", "27", "28", "29", "30", "32", "33")])
def test_each_volume_of_enhanced_frames_holds_the_frames_of_one_kind_in_their_places(name):
    folder = case(name)
    stored = stored_by_place(folder)
    kinds = {key[1:] for key in stored}
    for series in discover(folder):
        volume = series.volume()
        heights = [(volume.affine @ [0, 0, k, 1])[2] for k in range(volume.shape[2])]
        fitting = [
            kind
            for kind in kinds
            if all(
                (round(z, 3), *kind) in stored and np.array_equal(volume.array[..., k].T, stored[round(z, 3), *kind])
                for k, z in enumerate(heights)
            )
        ]
        assert len(fitting) == 1
        kinds.discard(fitting[0])
        assert ("phase" in volume.flags) == (fitting[0][0] == "PHASE")
    assert not kinds


def test_words_of_two_pixels_are_exchanged():
    right = np.random.default_rng(0).integers(0, 255, (16, 12, 8))
    np.testing.assert_array_equal(read_volume(case("06-big-endian-8bit-ow")).array, right)


def test_the_polarity_of_a_ct_changes_no_number():
    volume = read_volume(case("07-ct-monochrome1"))
    assert (volume.array.min(), volume.array.max()) == (-1023, 3068)


def test_positions_rounded_to_a_tenth_keep_the_mean_distance():
    np.testing.assert_allclose(read_volume(case("41-positions-rounded-0p1")).spacing[2], 0.626, atol=1e-3)


def test_the_stray_is_named():
    (aside,) = (one for one in discover(case("08-colour-capture-in-series")) if one.code)
    assert "IM0000.dcm" in aside.reason


def test_half_a_concatenation_is_refused(tmp_path):
    (tmp_path / "half").mkdir()
    first = case("29-enhanced-split-over-files") / "0.dcm"
    (tmp_path / "half" / first.name).write_bytes(first.read_bytes())
    (series,) = discover(tmp_path)
    assert series.code == "MISSING_SLICES"
    assert "part 2 of 2" in series.reason


def test_one_of_two_mixed_files_is_refused(tmp_path):
    first = case("27-mixed-complex-in-files") / "0.dcm"
    (tmp_path / first.name).write_bytes(first.read_bytes())
    (series,) = discover(tmp_path)
    assert series.code == "MULTI_VOLUME"
