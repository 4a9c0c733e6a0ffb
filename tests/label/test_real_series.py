"""A real series and the shipped bundle through the server."""

import json
import shutil

import nibabel as nib
import pytest

from tests.label.conftest import serving
from tests.pipelines.evaluate.test_real_data import RESULTS, brainix_dice


def test_the_tumour_of_the_brainix_series_is_outlined_in_place(shared_data, bundle, tmp_path):
    shutil.copytree(shared_data / "brainix" / "FLAIR", tmp_path / "studies" / "FLAIR")
    with serving(tmp_path / "studies", bundle, tmp_path) as client:
        answer = client.post("/infer/detect?image=FLAIR&output=image")
    assert answer.status_code == 200
    (tmp_path / "mask.nii.gz").write_bytes(answer.content)
    committed = json.loads((RESULTS / "brainix.json").read_text())
    dice = brainix_dice(nib.load(tmp_path / "mask.nii.gz"), shared_data / "brainix")
    assert dice == pytest.approx(committed["dice_at_threshold"], abs=0.01)
