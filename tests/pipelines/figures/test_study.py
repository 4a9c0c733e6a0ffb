"""`pipelines.figures.study`: many small trainings, one table."""

import json

import pytest
import yaml

from anomaly.networks import medicalnet_encoder, save_medicalnet
from pipelines.figures import study
from pipelines.figures.study import Run, ablation_runs, fewer, transfer_runs


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "encoder.pth"
    save_medicalnet(medicalnet_encoder(10, slice_stride=1), path)
    return path


def test_few_patients_are_among_more():
    entries = [{"image": f"scan-{number}.nii.gz", "patient": f"p{number // 2}"} for number in range(20)]
    five, eight = fewer(entries, 5), fewer(entries, 8)
    assert (len(five), len(eight)) == (10, 16)
    assert all(entry in eight for entry in five)
    assert fewer(entries, None) == entries


def test_every_number_of_patients_is_run_with_and_without_transfer():
    runs = transfer_runs([5, 10])
    assert {(run.patients, run.transferred) for run in runs} == {(n, t) for n in (5, 10, None) for t in (True, False)}
    assert len({run.name for run in (*runs, *ablation_runs())}) == len(runs) + len(ablation_runs()) - 2


def test_runs_are_measured_once_and_differ_as_they_say(cohort, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "_EPOCHS", 1)
    monkeypatch.setattr(study, "_SLAB", [32, 32, 6])
    runs = [
        Run(name="whole"),
        Run(name="scratch", patients=2, transferred=False, settings={"adversarial_weight": 0.0}),
        Run(name="twice", weights_of="whole", shared={"network_def::passes": 2}),
    ]
    rows = list(study.study(cohort, tmp_path, runs, encoder=encoder, steps=1))
    assert [(row["run"], row["patients"], row["transferred"]) for row in rows] == [
        ("whole", 2, True),
        ("scratch", 2, False),
        ("twice", 2, True),
    ]
    for row in rows:
        assert 0 <= row["voxel_ap"] <= 1
        low, high = row["intervals"]["voxel_ap"]
        assert low <= row["voxel_ap"] <= high
    assert rows[0]["voxel_ap"] != rows[1]["voxel_ap"]
    assert rows[0]["voxel_ap"] != rows[2]["voxel_ap"], "two passes answer something else than one"
    config = yaml.safe_load((tmp_path / "twice" / "bundle" / "configs" / "evaluate.yaml").read_text())
    assert config["network_def"]["passes"] == 2
    assert next(step for step in config["prepare"] if step["_target_"] == "Spacingd")["pixdim"][:2] == [2.7, 2.7]

    monkeypatch.setattr(study, "train", None)  # what is done is not done again
    assert list(study.study(cohort, tmp_path, runs, encoder=encoder, steps=1)) == rows


def test_an_interrupted_run_is_begun_again(cohort, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "_EPOCHS", 1)
    monkeypatch.setattr(study, "_SLAB", [32, 32, 6])
    left = tmp_path / "scratch" / "bundle" / "models"
    left.mkdir(parents=True)
    (left / "model.pt").write_bytes(b"half")
    [row] = study.study(cohort, tmp_path, [Run(name="scratch", transferred=False)], encoder=encoder, steps=1)
    assert row == json.loads((tmp_path / "scratch" / "row.json").read_text())
