"""The bundle's contract: every verb of stock `monai.bundle`, offline, from any directory, on every kind of input."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigParser, ConfigWorkflow, ckpt_export, run, verify_metadata, verify_net_in_out

from anomaly.bundle import sha256_of

SEARCH = "the search is gradient descent at test time, which `torch.jit.script` cannot express"
NOT_FOR_TORCHSCRIPT = {"anogan": SEARCH, "semantic_inpainting": SEARCH}


def config(bundle, name):
    return str(bundle / "configs" / f"{name}.yaml")


def training(bundle, cohort, output):
    options = {"config_file": config(bundle, "train"), "bundle_root": bundle, "dataset_dir": cohort}
    return {name: str(value) for name, value in {**options, "output_dir": output}.items()}


@pytest.mark.parametrize(("name", "kind"), [("train", "train"), ("evaluate", "inference"), ("inference", "inference")])
def test_no_property_is_missing(ready, cohort, tmp_path, name, kind):
    workflow = ConfigWorkflow(
        config_file=config(ready, name),
        workflow_type=kind,
        logging_file=False,
        bundle_root=str(ready),
        dataset_dir=str(cohort),
        output_dir=str(tmp_path),
    )
    workflow.initialize()
    assert workflow.check_properties() == []


def test_metadata_is_valid(bundle):
    schema = Path(__file__).with_name("meta_schema.json")
    verify_metadata(meta_file=str(bundle / "configs" / "metadata.json"), filepath=str(schema))


def test_metadata_and_changelog_name_the_version(bundle):
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert metadata["version"] in metadata["changelog"]
    assert metadata["name"] == bundle.name


def test_network_input_and_output(ready):
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(ready / "configs" / "metadata.json"),
        config_file=config(ready, "inference"),
        device="cpu",
        p=1,
        n=2,
        any=8,
    )


def test_export_to_torchscript(ready, tmp_path):
    options = {
        "net_id": "network_def",
        "filepath": str(tmp_path / "model.ts"),
        "ckpt_file": str(ready / "models" / "model.pt"),
        "meta_file": str(ready / "configs" / "metadata.json"),
        "config_file": config(ready, "inference"),
    }
    if reason := NOT_FOR_TORCHSCRIPT.get(ready.name):
        assert reason in " ".join((ready / "docs" / "README.md").read_text().split())
        with pytest.raises((RuntimeError, torch.jit.frontend.NotSupportedError)):
            ckpt_export(**options)
        return
    ckpt_export(**options)
    exported = torch.jit.load(str(tmp_path / "model.ts")).eval()
    score = exported(torch.rand(1, 1, 64, 32, 5))
    assert score.shape == (1, 1, 64, 32, 5)


def test_files_of_a_bundle_are_there_and_small(bundle):
    files = ["LICENSE", "docs/README.md", "configs/logging.conf"]
    if (bundle / "models").is_dir():
        files += ["models/model.pt", "models/calibration.json", "docs/data_license.txt"]
    else:
        assert "ships without weights" in " ".join((bundle / "docs" / "README.md").read_text().split())
    assert [name for name in files if not (bundle / name).is_file()] == []
    assert sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file()) < 60e6


def test_weights_are_the_calibrated_ones(ready):
    calibration = json.loads((ready / "models" / "calibration.json").read_text())
    assert calibration["weights_sha256"] == sha256_of(ready / "models" / "model.pt")


def test_inference_from_another_directory_as_a_user_types_it(ready, cohort, tmp_path):
    """A NIfTI folder, by the command line, in an empty working directory."""
    images = tmp_path / "images"
    images.mkdir()
    shutil.copy(cohort / "test-0.nii.gz", images / "scan.nii.gz")
    (images / "broken.nii.gz").write_bytes(b"no image")
    words = ["-m", "monai.bundle", "run", "--config_file", config(ready, "inference")]
    words += ["--dataset_dir", str(images), "--output_dir", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, timeout=300, env=_offline(), check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    source = nib.load(images / "scan.nii.gz")
    for kind in ("mask", "score"):
        written = nib.load(tmp_path / "out" / f"scan_{kind}.nii.gz")
        assert written.shape == source.shape
        np.testing.assert_allclose(written.affine, source.affine, atol=1e-5)
    assert json.loads((tmp_path / "out" / "scan.json").read_text())["bundle"]["name"] == ready.name
    failed = json.loads((tmp_path / "out" / "failed.json").read_text())
    assert [row["case"] for row in failed] == ["broken"]


def test_evaluate_writes_metrics_and_agrees_with_the_detector(ready, cohort, tmp_path):
    from anomaly import load_detector
    from data_prep import list_cases, read_volume

    options = {"bundle_root": str(ready), "dataset_dir": str(cohort), "output_dir": str(tmp_path)}
    run(config_file=config(ready, "evaluate"), **options)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["cases"] == 2
    assert metrics["failed"] == []
    assert 0 <= metrics["voxel_ap"] <= 1
    low, high = metrics["intervals"]["voxel_ap"]
    assert low <= metrics["voxel_ap"] <= high
    assert metrics["image_auroc"] in (0.0, 1.0)
    detector = load_detector(ready, device="cpu")
    evaluator = ConfigParser.load_config_file(config(ready, "evaluate"))["evaluator"]
    assert ("gain" in metrics) == evaluator.get("subtraction", False)
    if "gain" in metrics:
        gain = metrics["gain"]["voxel_ap"]
        assert gain["difference"] == pytest.approx(metrics["voxel_ap"] - metrics["subtraction"]["voxel_ap"])
        assert gain["interval"][0] <= gain["difference"] <= gain["interval"][1]
    for case in list_cases(cohort):
        exam = detector.examine(read_volume(case.image), case=case.name)
        finding = json.loads((tmp_path / f"{case.name}.json").read_text())
        assert finding["score"] == pytest.approx(exam.finding.score, abs=1e-5)
        mask = np.asarray(nib.load(tmp_path / f"{case.name}_mask.nii.gz").dataobj)
        np.testing.assert_array_equal(mask, exam.mask)
        assert finding["input_hash"] == exam.finding.input_hash


def test_two_trainings_of_one_seed_give_the_same_bytes_and_a_working_bundle(little, cohort, tmp_path):
    for folder in ("one", "two"):
        run(**training(little, cohort, tmp_path / folder))
    for name in ("model.pt", "calibration.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    fresh = tmp_path / little.name
    shutil.copytree(little, fresh, ignore=shutil.ignore_patterns("models"))
    (fresh / "models").mkdir()
    for name in ("model.pt", "calibration.json"):
        shutil.copy(tmp_path / "one" / name, fresh / "models")
    from anomaly import load_detector
    from data_prep import read_volume

    finding = load_detector(fresh, device="cpu")(read_volume(cohort / "test-0.nii.gz"))
    assert finding.calibration_cases == 2
    assert not finding.abnormal, "two calibration scans cannot promise a rate of 10 %"


def test_a_training_that_was_interrupted_ends_as_one_that_was_not(little, cohort, tmp_path):
    twice = {"epochs": 2, "steps": 1}
    run(**training(little, cohort, tmp_path / "whole"), **twice)
    if "healthy_twin" in little.name:
        assert list((tmp_path / "whole" / "pictures").glob("epoch_*.png"))
        assert list((tmp_path / "whole" / "logs").glob("events*"))
    options = {**training(little, cohort, tmp_path / "cut"), **twice}
    workflow = ConfigWorkflow(workflow_type="train", logging_file=False, **options)
    workflow.initialize()
    trainer = workflow.parser.get_parsed_content("train::trainer")

    def interrupt(engine):
        if engine.state.iteration == 2:
            raise KeyboardInterrupt

    trainer.add_event_handler(Events.ITERATION_STARTED, interrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert (tmp_path / "cut" / "resume.pt").is_file()
    run(resume=True, **options)
    one, other = (torch.load(tmp_path / name / "model.pt", weights_only=True) for name in ("whole", "cut"))
    for name, value in one.items():  # half precision: up to its last bit
        torch.testing.assert_close(other[name].float(), value.float(), rtol=2e-3, atol=2e-4, msg=name)
    assert not (tmp_path / "cut" / "resume.pt").exists()


def test_the_larger_setting_changes_settings_that_there_are(bundle, cohort, tmp_path):
    large = bundle / "configs" / "large.yaml"
    if not large.is_file():
        pytest.skip(f"{bundle.name} has no larger setting")
    base, over = (ConfigParser.load_config_file(config(bundle, name)) for name in ("train", "large"))
    assert set(over) <= set(base)
    assert all(wide >= narrow for wide, narrow in zip(over["slab"], base["slab"], strict=True))
    options = {**training(bundle, cohort, tmp_path), "config_file": [config(bundle, "train"), str(large)]}
    workflow = ConfigWorkflow(workflow_type="train", logging_file=False, **options)
    workflow.initialize()
    assert workflow.parser.get_parsed_content("train::optimizer").param_groups[0]["lr"] == over["learning_rate"]


def _offline():
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
