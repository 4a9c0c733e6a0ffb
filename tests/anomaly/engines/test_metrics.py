"""`CohortMetrics`: what is drawn again for the intervals."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from anomaly.bundle import sha256_of
from anomaly.engines import CohortMetrics
from anomaly.scoring.calibration import Calibration


@pytest.fixture
def bundle(tmp_path):
    weights = tmp_path / "models" / "model.pt"
    weights.parent.mkdir()
    torch.save({}, weights)
    calibration = Calibration(
        weights_sha256=sha256_of(weights),
        voxel_threshold=0.5,
        voxel_false_positive_rate=0.001,
        image_scores=[0.1 * step for step in range(1, 10)],
        alpha=0.1,
        min_lesion_ml=0.0,
        cases=[str(number) for number in range(9)],
    )
    calibration.save(weights.with_name("calibration.json"))
    return tmp_path


def measured(bundle, patients, *, box=None, ill=lambda _: True, found=lambda number: number % 2 == 0):
    """Metrics of cases of 12 x 12 x 2 voxels, some found well and the others not at all."""
    metrics = CohortMetrics(bundle, bundle / "out", box_key="box")
    engine = SimpleNamespace(state=SimpleNamespace(metrics={}), failures=[])
    metrics._start(engine)
    rng = np.random.default_rng(0)
    for number, patient in enumerate(patients):
        label = np.zeros((1, 12, 12, 2), dtype=np.float32)
        label[:, 3:8, 3:8] = ill(number)
        noise = rng.random(label.shape, dtype=np.float32)
        pred = 0.6 * label + 0.4 * noise if found(number) else noise
        item = {"case": f"case-{number}", "label": MetaTensor(label), "patient": patient}
        if box:
            item["box"] = box
            pred[:, 10:] = 1.0  # outside the box everything is abnormal
        engine.state.batch = [item]
        engine.state.output = [{"pred": MetaTensor(pred), "score": 0.5}]
        metrics._collect(engine)
    metrics._finish(engine)
    return json.loads((bundle / "out" / "metrics.json").read_text())


def test_copies_of_few_patients_say_less_than_as_many_patients(bundle):
    alone = measured(bundle, [str(number) for number in range(12)])
    together = measured(bundle, ["a", "b"] * 6)
    assert together["voxel_ap"] == alone["voxel_ap"]
    width = [np.ptp(report["intervals"]["voxel_ap"]) for report in (alone, together)]
    assert width[1] > 1.5 * width[0]
    assert "patient" not in alone["per_case"][0]


def test_what_lies_outside_the_box_does_not_count(bundle):
    patients = [str(number) for number in range(8)]
    cases = {"ill": lambda number: number % 2 == 0, "found": lambda _: True}
    report = measured(bundle, patients, box=[[1, 9], [1, 9], [0, 2]], **cases)
    assert report["voxel_ap"] == 1.0
    assert report["image_auroc_in_box"] == 1.0
    assert report["intervals"]["image_auroc_in_box"] == [1.0, 1.0]
    assert report["image_auroc"] == 0.5, "the scores of whole images are all the same"
    without = measured(bundle, patients)
    assert "image_auroc_in_box" not in without
    assert without["image_auroc"] is None
    assert without["intervals"]["image_auroc"] is None


def with_truths(bundle, truths):
    """Metrics of cases of one slice; a truth is a score and a mask, True (healthy) or False (abnormal, no mask)."""
    metrics = CohortMetrics(bundle, bundle / "out")
    engine = SimpleNamespace(state=SimpleNamespace(metrics={}), failures=[])
    metrics._start(engine)
    for number, (score, truth) in enumerate(truths):
        item = {"case": f"case-{number}", "patient": str(number)}
        item |= {"healthy": truth} if isinstance(truth, bool) else {"label": MetaTensor(truth)}
        pred = np.full((1, 12, 12, 1), 0.2, np.float32)
        pred[:, 2:8, 2:8] = score
        engine.state.batch, engine.state.output = [item], [{"pred": MetaTensor(pred), "score": score}]
        metrics._collect(engine)
    metrics._finish(engine)
    return json.loads((bundle / "out" / "metrics.json").read_text())


def test_abnormal_cases_without_masks_count_among_cases_and_not_among_voxels(bundle):
    healthy = [(0.3, True), (0.4, True), (0.5, True)]
    report = with_truths(bundle, [*healthy, (0.95, False), (0.45, False)])
    assert report["image_auroc"] == pytest.approx(5 / 6)
    assert report["sensitivity"] == 0.5
    assert report["intervals"]["image_auroc"] is not None
    for name in ("voxel_ap", "best_dice", "dice_at_threshold", "mean_dice_at_threshold", "slice_auroc", "aupro"):
        assert report[name] is None, name
    assert [case.get("healthy") for case in report["per_case"]] == [True, True, True, False, False]


def test_masks_of_some_are_measured_as_if_the_others_were_not_there(bundle):
    mask = np.zeros((1, 12, 12, 1), np.float32)
    mask[:, 2:8, 2:8] = 1
    some = [(0.3, True), (0.9, mask), (0.6, mask)]
    alone, more = with_truths(bundle, some), with_truths(bundle, [*some, (0.25, False)])
    for name in ("voxel_ap", "best_dice", "dice_at_threshold", "mean_dice_at_threshold", "slice_auroc", "aupro"):
        assert more[name] == alone[name], name
    assert (alone["image_auroc"], more["image_auroc"]) == (1.0, pytest.approx(2 / 3))
