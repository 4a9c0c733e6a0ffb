"""Evaluator, inferer and handlers on small volumes with a network whose answer is known."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import nn

from anomaly.engines import AnomalyEvaluator, CalibrationHandler, SlabInferer
from anomaly.engines.writer import write_examination
from anomaly.finding import BundleId
from anomaly.scoring import Calibration, appearance, foreground
from anomaly.scoring.assess import Subject, assess


class Brightness(nn.Module):
    """The score map is the image (a copy: MONAI's sliding window works in place)."""

    def forward(self, image):
        return image.clone()


def batch(value, case, **more):
    image = torch.full((1, 1, 8, 8, 4), 0.2)
    image[..., 0] = value
    return {"image": image, "case": [case], **more}


def evaluator(batches, handlers=()):
    return AnomalyEvaluator(device="cpu", val_data_loader=batches, network=Brightness(), val_handlers=list(handlers))


def test_output_holds_map_and_score():
    engine = evaluator([batch(0.9, "a")])
    engine.run()
    result = engine.state.output[0]
    assert result["map"].shape == (8, 8, 4)
    assert float(result["score"]) == pytest.approx(0.9)
    assert result["body"].all()


def test_unreadable_cases_are_listed_and_the_rest_goes_on(tmp_path):
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    handler = CalibrationHandler(weights, tmp_path / "calibration.json")
    broken = {"case": ["b"], "failure": ["b.nii: not an image"]}
    engine = evaluator([batch(0.5, "a"), broken, batch(0.7, "c")], [handler])
    engine.run()
    assert engine.failures == [{"case": "b", "reason": "b.nii: not an image"}]
    assert Calibration.load(tmp_path / "calibration.json").image_scores == pytest.approx([0.5, 0.7])
    engine.run()
    assert len(engine.failures) == 1


def test_runs_of_one_patient_count_once(tmp_path):
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    handler = CalibrationHandler(weights, tmp_path / "calibration.json", alpha=0.2, min_lesion_ml=1.5)
    evaluator([batch(0.5, "a"), batch(0.9, "a"), batch(0.7, "b")], [handler]).run()
    fitted = Calibration.load(tmp_path / "calibration.json")
    assert fitted.cases == ["a", "b"]
    assert fitted.image_scores == pytest.approx([0.7, 0.9])
    assert (fitted.alpha, fitted.min_lesion_ml) == (0.2, 1.5)


def test_scans_of_one_patient_count_once(tmp_path):
    """Two patients with two scans each are two patients, whatever the scans are called."""
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    values = {"a1": 0.5, "a2": 0.9, "b1": 0.7, "b2": 0.6}
    batches = [batch(value, case, patient=[case[0]]) for case, value in values.items()]
    evaluator(batches, [CalibrationHandler(weights, tmp_path / "calibration.json")]).run()
    fitted = Calibration.load(tmp_path / "calibration.json")
    assert fitted.cases == ["a1", "b1"]
    assert fitted.image_scores == pytest.approx([0.7, 0.9])


def test_calibration_remembers_how_the_scans_look(tmp_path):
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    looks = torch.rand(1, 1, 8, 8, 4, generator=torch.Generator().manual_seed(0))
    evaluator([{"image": looks, "case": ["a"]}], [CalibrationHandler(weights, tmp_path / "c.json")]).run()
    array = looks[0, 0].numpy()
    seen = appearance(array, foreground(array))
    assert Calibration.load(tmp_path / "c.json").appearance == {name: [value] for name, value in seen.items()}


def test_more_than_one_case_a_batch_is_refused():
    wrong = {"image": torch.zeros(2, 1, 8, 8, 4), "case": ["a", "b"]}
    with pytest.raises(ValueError, match="one case a batch"):
        evaluator([wrong]).run()


def test_slabs_give_what_one_pass_gives():
    image = torch.rand(1, 1, 16, 16, 30)
    whole, slabs = SlabInferer(slices=48), SlabInferer(slices=8)
    torch.testing.assert_close(slabs(image, Brightness()), whole(image, Brightness()))


def test_slabs_bound_what_the_network_sees():
    seen = []

    class Watch(nn.Module):
        def forward(self, image):
            seen.append(image.shape[-1])
            return image.clone()

    SlabInferer(slices=8)(torch.rand(1, 1, 16, 16, 30), Watch())
    assert max(seen) == 8


def examination(score_map, affine):
    calibration = Calibration(
        weights_sha256="ab",
        voxel_threshold=0.5,
        voxel_false_positive_rate=0.01,
        image_scores=[0.1] * 9,
        alpha=0.1,
        min_lesion_ml=0,
        cases=["h"] * 9,
    )
    return assess(
        score_map,
        affine,
        score=0.7,
        subject=Subject(case="case-1", series_uid="1.2.3"),
        calibration=calibration,
        bundle=BundleId(name="b", version="1", weights_sha256="ab"),
        timings={"network": 0.5},
    )


def test_written_files(tmp_path):
    score_map = np.random.default_rng(0).random((6, 5, 4)).astype(np.float32)
    affine = np.array([[0, -2.0, 0.1, 3], [1.5, 0, 0, 4], [0, 0.2, 5.5, -9], [0, 0, 0, 1]])
    paths = write_examination(examination(score_map, affine), affine, tmp_path)
    mask, score = nib.load(paths["mask"]), nib.load(paths["score"])
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(mask.dataobj), score_map >= 0.5)
    np.testing.assert_allclose(score.get_fdata(), score_map, atol=1e-5)
    for image in (mask, score):
        np.testing.assert_allclose(image.affine, affine, atol=1e-6)
    finding = json.loads(paths["finding"].read_text())
    assert finding["abnormal"] is True
    assert finding["p_value"] == pytest.approx(0.1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths.values())


def test_written_files_are_the_same_bytes_twice(tmp_path):
    score_map = np.random.default_rng(0).random((6, 5, 4)).astype(np.float32)
    for folder in ("one", "two"):
        write_examination(examination(score_map, np.eye(4)), np.eye(4), tmp_path / folder)
    for name in ("case-1_mask.nii.gz", "case-1_score.nii.gz", "case-1.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_metatensors_pass_through():
    image = MetaTensor(torch.full((1, 1, 8, 8, 4), 0.3))
    engine = evaluator([{"image": image, "case": ["a"]}])
    engine.run()
    assert float(engine.state.output[0]["score"]) == pytest.approx(0.3)


def test_mirrored_answers_are_averaged():
    class Ramp(nn.Module):
        """The image, brighter from left to right."""

        def forward(self, image):
            return image + torch.linspace(0, 1, image.shape[2])[:, None, None]

    image = torch.rand(1, 1, 8, 6, 30)
    for slices in (8, 48):
        answer = SlabInferer(slices=slices, flips=[0])(image, Ramp())
        torch.testing.assert_close(answer, image + 0.5, rtol=1e-4, atol=1e-5)
    assert SlabInferer(flips=[0]).passes == 2
