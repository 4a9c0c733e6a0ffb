"""Every bundle keeps the same contract, with weights and without."""

import shutil
from pathlib import Path

import pytest
from monai.bundle import ConfigParser, run

BUNDLES = sorted(path.parent.parent for path in Path(__file__).parents[2].glob("bundles/*/configs/metadata.json"))
GAN = {"patch": 16, "latent": 4, "channels": [8, 4], "iterations": 2, "samples": 2}
SMALL = {
    "brain_flair_healthy_twin": {"slab": [32, 32, 4]},
    "brain_mr_healthy_twin": {"slab": [32, 32, 4]},
    "cardiac_lge_healthy_twin": {"slab": [32, 32, 4]},
    "anogan": GAN,
    "semantic_inpainting": GAN,
    "proxyano": {"channels": [4, 4], "items": 8, "features": [4, 4, 4, 4, 4, 4], "window": 32, "samples": 2},
}
SHORT = {"epochs": 1, "steps": 2, "batch_size": 2}


@pytest.fixture(scope="session", params=BUNDLES, ids=lambda path: path.name)
def bundle(request) -> Path:
    """Each of the bundles, as it is committed."""
    return request.param


@pytest.fixture(scope="session")
def little(bundle, tmp_path_factory) -> Path:
    """A copy of the bundle without weights, whose configs have small networks and a short training."""
    copy = tmp_path_factory.mktemp("little") / bundle.name
    shutil.copytree(bundle, copy, ignore=shutil.ignore_patterns("models", "eval"))
    for path in (copy / "configs" / f"{name}.yaml" for name in ("train", "evaluate", "inference")):
        config = ConfigParser.load_config_file(path)
        changes = {key: value for key, value in {**SMALL[bundle.name], **SHORT}.items() if key in config}
        ConfigParser.export_config_file({**config, **changes}, path, fmt="yaml", sort_keys=False)
    return copy


@pytest.fixture(scope="session")
def ready(bundle, little, cohort) -> Path:
    """The bundle with its shipped weights; where there are none, its small copy with those of a short training."""
    if (bundle / "models" / "model.pt").is_file():
        return bundle
    options = {"bundle_root": str(little), "dataset_dir": str(cohort), "output_dir": str(little / "models")}
    run(config_file=str(little / "configs" / "train.yaml"), **options)
    return little
