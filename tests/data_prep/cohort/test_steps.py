"""What is done to a scan: right, the same every time, and on the right grid."""

import os
import stat
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from conftest import phantom, rotated_affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_prep import InputError, Volume
from data_prep.cohort.leakage import voxel_hash
from data_prep.cohort.nyul import PERCENTILES, landmarks, standard_scale, standardise
from data_prep.cohort.steps import Steps, ToolError, correct_bias, moved_runs, resample, strip_skull


@pytest.fixture(scope="module")
def head():
    return Volume(phantom((64, 64, 12))[0], rotated_affine((3.0, 3.0, 5.0), angle=0.1), "head.nii")


def test_n4_takes_a_bias_out(head):
    """Against the same correction without the bias: N4 leaves the scan's own shading in both."""
    bias = np.exp(np.linspace(-0.4, 0.4, 64))[:, None, None]
    shaded = replace(head, array=(head.array * bias).astype(np.float32))
    inside = head.array > 200
    plain, mended = correct_bias(head), correct_bias(shaded)
    before = np.log(shaded.array[inside] / head.array[inside])
    after = np.log(mended[inside] / plain[inside])
    assert after.std() < 0.35 * before.std()
    np.testing.assert_array_equal(mended, correct_bias(shaded))


@settings(max_examples=30, deadline=None)  # the first call imports monai
@given(st.tuples(*[st.floats(1.5, 9.0)] * 3), st.floats(-0.5, 0.5))
def test_resampling_keeps_every_place(spacing, angle):
    """A linear ramp in millimetres stays one: position and value belong together."""
    affine = rotated_affine((3.0, 3.0, 5.0), angle=angle)
    index = np.indices((12, 11, 9)).reshape(3, -1)
    ramp = (affine[:3, :3] @ index + affine[:3, 3:]).T @ np.array([1.0, 2.0, -0.5])
    moved = resample(Volume(ramp.reshape(12, 11, 9), affine), spacing, nearest=False)
    np.testing.assert_allclose(moved.spacing, spacing, rtol=1e-3)  # MONAI leaves an axis alone that is as near as this
    inner = np.indices(moved.shape).reshape(3, -1)
    place = moved.affine[:3, :3] @ inner + moved.affine[:3, 3:]
    back = np.linalg.inv(affine)[:3, :3] @ place + np.linalg.inv(affine)[:3, 3:]
    known = ((back >= 0) & (back <= np.array([[11], [10], [8]]))).all(axis=0)
    assert known.any()
    expected = place.T @ np.array([1.0, 2.0, -0.5])
    np.testing.assert_allclose(moved.array.ravel()[known], expected[known], atol=2e-2)


def test_masks_stay_masks(head):
    mask = Volume((head.array > 600).astype(np.uint8) * 3, head.affine)
    moved = Steps(spacing=(2.0, 2.0, 5.0)).label(mask)
    assert moved.array.dtype == np.uint8
    assert set(np.unique(moved.array)) == {0, 1}
    before, after = (np.count_nonzero(one.array) * np.prod(one.spacing) for one in (mask, moved))
    assert abs(after / before - 1) < 0.1


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=4), st.floats(0.5, 12))
def test_moved_runs_hold_no_slice_from_outside(pairs, spacing):
    runs = [[start, start + count] for start, count in pairs]
    before, after = np.diag([1.0, 1, 3, 1]), np.diag([1.0, 1, spacing, 1])
    for start, stop in moved_runs(runs, before, after):
        middle = spacing * np.arange(start, stop) / 3.0
        assert any(run[0] - 1e-5 <= middle.min() and middle.max() <= run[1] - 1 + 1e-5 for run in runs)
    assert moved_runs(runs, before, before) == [list(run) for run in runs]


@given(arrays(np.float64, (11,), elements=st.floats(0.5, 50)), st.floats(0.1, 20), st.floats(-100, 100))
def test_nyul_undoes_any_change_of_scale(gaps, slope, offset):
    marks = np.cumsum(gaps)
    scale = standard_scale([marks, np.cumsum(gaps[::-1])])
    array = np.linspace(marks[0], marks[-1], 60).reshape(3, 4, 5)
    once = standardise(array, marks, scale)
    other = standardise(array * slope + offset, marks * slope + offset, scale)
    np.testing.assert_allclose(once, other, atol=1e-2)
    assert (np.diff(once.ravel()) >= -1e-5).all()


def test_nyul_brings_scans_together(head):
    arrays_of = [head.array.astype(float), head.array * 2.5 + 10, np.sqrt(head.array.astype(float)) * 20]
    marks = [landmarks(array) for array in arrays_of]
    scale = standard_scale(marks)
    after = [landmarks(standardise(array, mark, scale)) for array, mark in zip(arrays_of, marks, strict=True)]
    assert len(scale) == len(PERCENTILES)
    for mark in after:
        np.testing.assert_allclose(mark, scale, atol=1.0)


def test_percentiles_become_0_and_1(head):
    out = Steps(standardise="percentile").image(head)
    marks = landmarks(out.array)
    np.testing.assert_allclose(marks[[0, -1]], [0, 1], atol=0.02)


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """A brain extraction tool on the path: it reads the file, keeps the bright middle, and writes another."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "fake-bet"
    script.write_text(
        f"#!{sys.executable}\n"
        "import sys, os, nibabel as nib, numpy as np\n"
        "assert sys.argv[1::2] == ['-i', '-o'], sys.argv\n"
        "image = nib.load(sys.argv[2])\n"
        "if os.environ.get('FAKE') == 'fail':\n"
        "    sys.exit('no brain in it')\n"
        "array = np.asarray(image.dataobj).copy()\n"
        "array[:20] = 0\n"
        "if os.environ.get('FAKE') == 'crop':\n"
        "    array = array[20:]\n"
        "nib.save(nib.Nifti1Image(array, image.affine), sys.argv[4])\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return "fake-bet"


def test_skull_stripping_by_an_installed_tool(head, tool, monkeypatch):
    Steps(skull_strip=tool).check()
    brain = strip_skull(head, tool)
    assert brain.dtype == head.array.dtype
    assert not brain[:20].any()
    np.testing.assert_array_equal(brain[20:], head.array[20:])
    for fault, reason in (("fail", "no brain in it"), ("crop", r"\(44, 64, 12\) voxels for \(64, 64, 12\)")):
        monkeypatch.setenv("FAKE", fault)
        with pytest.raises(InputError, match=rf"{reason}.*STEP_FAILED"):
            strip_skull(head, tool)


def test_a_tool_that_is_not_installed_is_named_before_any_work():
    with pytest.raises(ToolError, match=r"no command hd-nothing.*skull-strip"):
        Steps(skull_strip="hd-nothing").check()


@given(st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([-1, 1])] * 3))
def test_a_copy_in_another_order_and_type_has_the_same_hash(order, flips):
    array = np.random.default_rng(0).integers(0, 99, (4, 5, 6)).astype(np.int16)
    same = Volume(array, rotated_affine((1.0, 1.0, 1.0), angle=0.1))
    moved = nib.Nifti1Image(array, same.affine).as_reoriented(
        np.array([[place, flip] for place, flip in zip(order, flips, strict=True)])
    )
    copy = Volume(np.asarray(moved.dataobj).astype(np.float64), moved.affine)
    assert voxel_hash(copy) == voxel_hash(same)
    changed = array.copy()
    changed[0, 0, 0] += 1
    assert voxel_hash(Volume(changed, same.affine)) != voxel_hash(same)
