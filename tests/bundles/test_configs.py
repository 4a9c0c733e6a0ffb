"""What the three configs of a bundle say of preparation and network agrees, in ours and in those of `train`."""

from pathlib import Path

import pytest
import yaml

from data_prep.fingerprint import Fingerprint
from pipelines.train.configs import plan_for, write_bundle

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = sorted(path.parent.parent.name for path in BUNDLES.glob("*/configs/inference.yaml"))
CONFIGS = ("train", "evaluate", "inference")
ONLY_TRAINING = {"weights", "encoder_weights"}  # where training begins; the others load what it ended with


def read(root):
    return {name: yaml.safe_load((root / "configs" / f"{name}.yaml").read_text()) for name in CONFIGS}


def resolved(value, config):
    """The value with `@key` replaced by what stands there."""
    if isinstance(value, dict):
        return {key: resolved(inner, config) for key, inner in value.items() if key not in ONLY_TRAINING}
    if isinstance(value, list):
        return [resolved(inner, config) for inner in value]
    if isinstance(value, str) and value.startswith("@"):
        return resolved(config[value[1:]], config)
    return value


def assert_alike(configs):
    first, *rest = [
        {key: resolved(config[key], config) for key in ("bundle_root", "prepare", "network_def", "network")}
        for config in configs.values()
    ]
    assert all(other == first for other in rest)


@pytest.mark.parametrize("name", NAMES)
def test_the_configs_of_a_bundle_agree(name):
    configs = read(BUNDLES / name)
    assert_alike(configs)
    one, other = configs["evaluate"], configs["inference"]
    same = {"imports", "preprocessing", "dataloader", "inferer", "device", "run"}
    assert {key: one[key] for key in same} == {key: other[key] for key in same}
    assert one["load"][0] | {"allow_gaps": "@allow_gaps"} == other["load"][0]
    assert other["handlers"] == one["handlers"][:-1]


def test_a_difference_is_seen():
    configs = read(BUNDLES / NAMES[0])
    configs["evaluate"]["prepare"][0]["keys"] = "label"
    with pytest.raises(AssertionError):
        assert_alike(configs)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("healthy_twin")])
@pytest.mark.parametrize("spacing", [(0.9, 0.9, 5.0), (1.0, 1.0, 1.0)])
def test_a_bundle_that_train_writes_differs_where_its_plan_does_and_nowhere_else(name, spacing, tmp_path):
    fingerprint = Fingerprint(axcodes="LPS", spacing=spacing, extent=(180.0, 220.0, 150.0), scans=9)
    plan = plan_for(fingerprint)
    write_bundle(tmp_path, BUNDLES / name, plan, metadata={"name": "my_site"})
    configs, old = read(tmp_path), read(BUNDLES / name)
    assert_alike(configs)
    for config in CONFIGS:
        changes = {*plan.train} if config == "train" else set()
        assert {key for key, value in configs[config].items() if value != old[config].get(key)} <= (
            {"bundle_root", "prepare"} | {key.partition("::")[0] for key in plan.shared} | changes
        )
        assert configs[config]["prepare"] == plan.prepare
        assert configs[config]["bundle_root"] == "$anomaly.bundle_root('my_site')"
        text, template = ((root / "configs" / f"{config}.yaml").read_text() for root in (tmp_path, BUNDLES / name))
        assert text.count("#") == template.count("#"), "comments stay"
    assert {key: configs["train"][key] for key in plan.train} == dict(plan.train)
