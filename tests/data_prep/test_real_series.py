"""The table of real series in the documentation is what the program says, and the voxels are the right ones."""

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from test_dicom_series import assert_same_world

from data_prep import Verdict, discover, read_volume

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "real-series.md"
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]*) \| (\d+) \| ?([\d x]*?) ?\| (\w+) \| ?([^|]*?) ?\|$", re.M)
ROWS = {row[0]: row[1:] for row in ROW.findall(PAGE.read_text())}


def test_the_table_names_every_series_with_its_verdict(shared_data):
    found = [one for part in ("dicom", "brainix") for one in discover(shared_data / part) if one.kind != "nifti"]
    said = {}
    for one in found:
        place = Path(one.place)
        name = str((place if place.is_dir() else place.parent).relative_to(shared_data))
        shape = " x ".join(map(str, one.shape or ())) if one.verdict is Verdict.ACCEPT else ""
        said[name] = (str(one.files), shape, one.code or "ACCEPT")
    assert said == {name: (files, shape, verdict) for name, (_, files, shape, verdict, _) in ROWS.items()}


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "both ground truths" in row[4]])
def test_equal_to_both_ground_truths(shared_data, name):
    volume = read_volume(shared_data / name)
    for end in ("", "_reoriented"):
        truth = nib.load(shared_data / f"{name}_ground_truth{end}.nii.gz")
        assert_same_world(volume, np.asarray(truth.dataobj), truth.affine)


def test_philips_classic_slice_by_slice(shared_data):
    import SimpleITK as sitk  # noqa: N813

    folder = shared_data / "dicom" / "philips" / "anatomical" / "001"
    volume = read_volume(folder)
    for file in folder.iterdir():
        position = np.array(pydicom.dcmread(file, stop_before_pixels=True).ImagePositionPatient, float) * [-1, -1, 1]
        place = np.linalg.inv(volume.affine) @ [*position, 1]
        np.testing.assert_allclose(place[:2], 0, atol=1e-3)
        assert abs(place[2] - round(place[2])) < 1e-2
        other = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))[0].T
        np.testing.assert_allclose(volume.array[..., round(place[2])], other, rtol=1e-5)
