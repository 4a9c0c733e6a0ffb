"""`import data_prep` and its errors are light."""

import pickle
import subprocess
import sys

import pytest

import data_prep


def test_import_is_light():
    heavy = ("torch", "monai", "itk", "SimpleITK", "pydicom", "nibabel")
    code = f"import sys, data_prep; assert data_prep.list_cases; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_names_are_told():
    with pytest.raises(AttributeError, match="nonsense"):
        data_prep.nonsense  # noqa: B018


def test_errors_survive_the_way_back_from_a_worker():
    error = pickle.loads(pickle.dumps(data_prep.InputError("a.nii", "NAN", "3 voxels are not numbers")))
    assert str(error) == "a.nii: 3 voxels are not numbers [NAN]"
    assert (error.path, error.code, error.reason) == ("a.nii", "NAN", "3 voxels are not numbers")
