"""Masks against true masks, lesion by lesion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bright import AFFINE, write_nifti

from data_prep import Volume
from pipelines.report.truth import compare, load_truth


def truth() -> np.ndarray:
    """Two lesions, 12 ml and 4.8 ml at 24 cubic mm a voxel, and a speck."""
    mask = np.zeros((30, 30, 10), bool)
    mask[2:12, 2:12, 2:7] = True
    mask[20:25, 20:28, 2:7] = True
    mask[0, 29, 0] = True
    return mask


def test_outlined_and_missed_lesions() -> None:
    mask = truth()
    mask[15:] = False
    record = compare(mask, truth(), AFFINE)
    assert [(lesion.volume_ml, lesion.outcome) for lesion in record.lesions] == [(12.0, "outlined"), (4.8, "missed")]
    assert [(lesion.overlap, lesion.dice) for lesion in record.lesions] == [(1, 1), (0, 0)]
    assert record.dice == pytest.approx(2 * 501 / (501 + 701), abs=1e-4)


def test_a_corner_of_a_lesion_is_not_called_outlined() -> None:
    mask = np.zeros_like(truth())
    mask[2:4, 2:12, 2:7] = True
    assert compare(mask, truth(), AFFINE).lesions[0].outcome == "partly outlined"


def test_everything_outlined_has_a_low_dice() -> None:
    lesion = compare(np.ones_like(truth()), truth(), AFFINE).lesions[0]
    assert lesion.overlap == 1
    assert lesion.dice < 0.12


def test_a_healthy_case_has_no_dice_but_a_false_volume() -> None:
    mask = np.zeros((5, 5, 5))
    mask[0, 0, 0] = 1
    record = compare(mask, np.zeros((5, 5, 5), bool), AFFINE)
    assert (record.dice, record.lesions, record.mask_ml) == (None, [], 0.024)


def test_a_label_with_other_axes_is_brought_to_the_volume(tmp_path: Path) -> None:
    turned = np.transpose(truth(), (2, 0, 1))[::-1]
    affine = AFFINE @ np.array([[0, 1, 0, 0], [0, 0, 1, 0], [-1, 0, 0, 9], [0, 0, 0, 1]])
    path = write_nifti(tmp_path / "label.nii.gz", turned.astype(np.uint8), affine)
    volume = Volume(array=np.zeros((30, 30, 10), np.float32), affine=AFFINE)
    np.testing.assert_array_equal(load_truth(path, volume), truth())
