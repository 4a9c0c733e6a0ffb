"""Volumes of one slice: a network of two dimensions takes them, and goes on from the weights of three."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anomaly.methods.healthy_twin import HealthyTwin
from anomaly.networks.medicalnet import flattened

SMALL = {"decoder_channels": (8, 8, 8, 4, 4)}


@pytest.mark.parametrize("evidence", [False, True])
def test_a_volume_of_one_slice_is_a_picture(evidence: bool) -> None:
    torch.manual_seed(0)
    network = HealthyTwin(spatial_dims=2, evidence=evidence, **SMALL).eval()
    picture = torch.rand(2, 1, 40, 33)
    with torch.no_grad():
        flat, volume = network.explain(picture), network.explain(picture[..., None])
        assert network(picture[..., None]).shape == (2, 1, 40, 33, 1)
    for name, value in flat.items():
        torch.testing.assert_close(volume[name], value[..., None])


def test_it_goes_on_from_the_weights_of_three_dimensions(tmp_path: Path) -> None:
    torch.manual_seed(0)
    three = HealthyTwin(evidence=True, **SMALL).eval()
    with torch.no_grad():
        for parameter in three.parameters():  # heads that begin at zero would hide a difference
            parameter.add_(0.01 * torch.randn_like(parameter))
    torch.save(three.state_dict(), tmp_path / "three.pt")
    two = HealthyTwin(spatial_dims=2, evidence=True, weights=str(tmp_path / "three.pt"), **SMALL).eval()
    picture = torch.rand(1, 1, 64, 64)
    deep = picture[..., None].expand(-1, -1, -1, -1, 33)
    with torch.no_grad():
        middle = three(deep)[..., 16]
        torch.testing.assert_close(two(picture), middle, atol=5e-3, rtol=0)
        fresh = HealthyTwin(spatial_dims=2, evidence=True, **SMALL).eval()(picture)
        assert (fresh - middle).abs().max() > 0.02


def test_what_fits_stays_as_it_is() -> None:
    state = {"conv": torch.rand(4, 1, 3, 3, 3), "norm": torch.rand(4), "other": torch.rand(2, 2)}
    target = {"conv": torch.zeros(4, 1, 3, 3), "norm": torch.zeros(4)}
    made = flattened(state, target)
    torch.testing.assert_close(made["conv"], state["conv"].sum(-1))
    assert made["norm"] is state["norm"]
    assert made["other"] is state["other"]
