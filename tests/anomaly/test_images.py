"""A detector takes whatever people hold an image in; it can be pickled, drawn, and be a step of a Compose."""

import pickle

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import torch
from conftest import BUNDLE, phantom, rotated_affine
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

from anomaly import AnomalyMapd, VolumeError, load_detector
from anomaly.images import as_volume
from data_prep import read_volume

AFFINE = rotated_affine((3.0, 3.0, 5.5), angle=0.1)


@pytest.fixture(scope="module")
def detector():
    return load_detector(BUNDLE, device="cpu")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "head.nii.gz"
    nib.save(nib.Nifti1Image(phantom((48, 48, 6), lesion=True)[0], AFFINE), path)
    return path


HELD = {
    "path": lambda path: path,
    "text": str,
    "nibabel": nib.load,
    "SimpleITK": lambda path: sitk.ReadImage(str(path)),
    "MetaTensor": lambda path: LoadImaged("image", reader="NibabelReader")({"image": path})["image"],
    "channels": lambda path: MetaTensor(
        nib.load(path).get_fdata()[None], affine=torch.as_tensor(nib.load(path).affine)
    ),
    "list": lambda path: [path],
    "pair": lambda path: (nib.load(path).get_fdata(), nib.load(path).affine),
    "volume": read_volume,
}


@pytest.mark.parametrize("kind", HELD)
def test_the_same_image_gives_the_same_volume(kind, path, detector):
    volume = as_volume(HELD[kind](path), load=detector.load)
    right = read_volume(path)
    np.testing.assert_allclose(volume.array, right.array)
    np.testing.assert_allclose(volume.affine, right.affine, atol=1e-4)


def test_an_array_or_tensor_needs_its_affine(path, detector):
    array = nib.load(path).get_fdata()
    one = detector.examine(array, affine=AFFINE)
    other = detector.examine(torch.as_tensor(array), affine=torch.as_tensor(AFFINE))
    right = detector.examine(path)
    assert one.finding.score == other.finding.score == pytest.approx(right.finding.score, abs=1e-5)
    assert right.finding.case == "head"
    assert right.finding.input_hash
    for image in (array, torch.as_tensor(array)):
        with pytest.raises(VolumeError, match="give its affine"):
            detector.examine(image)


def test_what_is_no_image_or_refused_says_so(tmp_path, path, detector):
    with pytest.raises(VolumeError, match=r"cannot be made of builtins\.dict"):
        detector.examine({})
    with pytest.raises(VolumeError, match="MISSING_FILE"):
        detector.examine(tmp_path / "none.nii.gz")
    far = AFFINE.copy()
    far[:3, 3] += 30
    array = nib.load(path).get_fdata()
    with pytest.raises(VolumeError, match="image 1 of the list lies on another grid"):
        detector.examine([(array, AFFINE), (array, far)])
    with pytest.raises(VolumeError, match="looks at one sequence, and the volume has 2"):
        detector.examine([(array, AFFINE), (array, AFFINE)])
    assert as_volume([(array, AFFINE), None]).flags == ("missing_1",)


def test_a_detector_can_be_pickled(path, detector):
    copy = pickle.loads(pickle.dumps(detector))
    assert copy(path).score == detector(path).score
    assert len(pickle.dumps(detector)) < 2000
    assert repr(copy).startswith("<Detector brain_flair_healthy_twin 0.")


def test_an_examination_is_one_line_and_one_figure(path, detector):
    exam = detector.examine(path, case="head")
    assert repr(exam).startswith("<Examination 'head': score 1.000, p 0.015, abnormal, 1 region of ")
    assert "48 x 48 x 6>" in repr(exam)
    assert len(repr(read_volume(path))) < 80
    figure = exam.plot(slices=3)
    assert [axis.get_ylabel() for axis in figure.axes[::3]] == ["image", "healthy twin", "score"]


def test_it_is_a_step_of_anybodys_compose(path, detector):
    steps = Compose(
        [
            LoadImaged("image", reader="NibabelReader"),
            EnsureChannelFirstd("image"),
            AnomalyMapd("image", bundle=BUNDLE, device="cpu"),
        ]
    )
    item = pickle.loads(pickle.dumps(steps))({"image": path, "case": "x"})
    exam = detector.examine(path)
    assert item["image_score"].shape == item["image"].shape == (1, 48, 48, 6)
    np.testing.assert_allclose(item["image_score"].affine, AFFINE, atol=1e-4)
    np.testing.assert_allclose(item["image_score"][0], exam.score, atol=1e-5)
    assert item["image_finding"].case == "x"
