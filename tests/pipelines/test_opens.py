"""No to and fro: a command opens an image as often as it must, counted; of `train`, see `train/test_run.py`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bright import head, write_nifti
from dicom_maker import write_series
from opened import counting, opens_below
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Two labelled heads, by a datalist."""
    entries = []
    for name, lesion in (("ill", True), ("well", False)):
        volume = head(lesion=lesion)
        write_nifti(tmp_path / "cohort" / f"{name}.nii.gz", volume)
        write_nifti(tmp_path / "cohort" / f"{name}_label.nii.gz", (volume > 100).astype(np.uint8))
        entries.append({"image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"})
    (tmp_path / "cohort" / "dataset.json").write_text(json.dumps({"test": entries}))
    return tmp_path / "cohort"


def test_detect_opens_an_image_twice_at_most(healthytwin: Run, identity_bundle: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_nifti(source / "a.nii.gz", head(lesion=True))
    write_nifti(source / "b.nii", head(lesion=False))
    write_series(source / "series", slices=6)
    with counting() as opened:
        done = healthytwin("detect", source, "-o", tmp_path / "out", "--bundle", identity_bundle)
    assert done.exit_code == 0, done.output
    assert len(opens_below(opened, source)) == 8
    assert max(opens_below(opened, source).values()) <= 2, opens_below(opened, source)
    with counting() as opened:
        done = healthytwin("detect", source / "a.nii.gz", "-o", tmp_path / "one", "--bundle", identity_bundle)
    assert opens_below(opened, source) == {"a.nii.gz": 1}, "a file that is named is not looked at before"


def test_evaluate_opens_an_image_twice_and_its_label_once(
    healthytwin: Run, identity_bundle: Path, cohort: Path, tmp_path: Path
) -> None:
    with counting() as opened:
        done = healthytwin("evaluate", cohort, "-o", tmp_path / "out", "--bundle", identity_bundle)
    assert done.exit_code == 0, done.output
    assert opens_below(opened, cohort) == {
        "dataset.json": 1,
        **{f"{name}.nii.gz": 2 for name in ("ill", "well")},
        **{f"{name}_label.nii.gz": 1 for name in ("ill", "well")},
    }
    outputs = opens_below(opened, tmp_path / "out").items()
    read = [number for name, number in outputs if name.endswith(("_mask.nii.gz", "_score.nii.gz"))]
    assert set(read) <= {1}, "what was examined is not read back from files, but for their digests"
