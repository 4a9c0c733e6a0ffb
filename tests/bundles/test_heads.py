"""Training on heads from label maps beside real scans: `configs/heads.yaml` over `configs/train.yaml`."""

from pathlib import Path

import nibabel as nib
import pytest
import torch
from monai.bundle import ConfigWorkflow
from phantom import affine, labels

BUNDLE = Path(__file__).parents[2] / "bundles" / "brain_flair_healthy_twin"


@pytest.fixture
def workflow(cohort, tmp_path):
    for name in "ab":
        nib.save(nib.Nifti1Image(labels(), affine()), tmp_path / f"{name}01.nii.gz")
    workflow = ConfigWorkflow(
        config_file=[str(BUNDLE / "configs" / f"{name}.yaml") for name in ("train", "heads")],
        workflow_type="train",
        logging_file=False,
        bundle_root=str(BUNDLE),
        dataset_dir=str(cohort),
        output_dir=str(tmp_path / "out"),
        labels_dir=str(tmp_path),
        initial_weights=None,
        slab=[32, 32, 4],
        epochs=1,
        steps=2,
        batch_size=4,
        head_share=0.5,
    )
    workflow.initialize()
    return workflow


def test_real_scans_and_heads_are_drawn_in_their_shares(workflow):
    sampler = workflow.parser.get_parsed_content("train::sampler")
    weights = list(sampler.weights)
    heads = len(workflow.parser.get_parsed_content("heads::data"))
    assert heads == 1, "the maps b.. are kept apart"
    assert sum(weights[-heads:]) == pytest.approx(0.5)
    assert sum(weights) == pytest.approx(1.0)


def test_a_head_has_the_shape_of_a_real_slab_and_another_one_each_time(workflow):
    dataset = workflow.parser.get_parsed_content("train::dataset")
    real, head, again = dataset[0], dataset[len(dataset) - 1], dataset[len(dataset) - 1]
    for key in ("image", "healthy", "mask"):
        assert real[key].shape == head[key].shape == (1, 32, 32, 4)
        assert real[key].dtype == head[key].dtype == torch.float32
    assert not torch.equal(head["healthy"], again["healthy"])


def test_it_trains(workflow, tmp_path):
    workflow.run()
    assert (tmp_path / "out" / "model.pt").is_file()
    assert (tmp_path / "out" / "calibration.json").is_file()
