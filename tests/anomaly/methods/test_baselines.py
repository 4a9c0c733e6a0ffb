"""The baselines: brightness, autoencoder, denoising autoencoder."""

import numpy as np
import pytest
import torch
from monai.utils import set_determinism

from anomaly.engines import MethodTrainer
from anomaly.methods.autoencoder import Autoencoder
from anomaly.methods.denoising import DenoisingAutoencoder, coarse_noise
from anomaly.methods.intensity import IntensityThreshold
from anomaly.networks import SliceWise

SMALL = {
    "intensity": (IntensityThreshold, {}),
    "equalised": (IntensityThreshold, {"equalise": True}),
    "autoencoder": (Autoencoder, {"channels": (4, 8), "latent": 2}),
    "denoising": (DenoisingAutoencoder, {"features": (4, 4, 4, 4, 4, 4)}),
}


def heads(count=4, size=32):
    """Discs with a smooth pattern that differs from image to image."""
    torch.manual_seed(0)
    i, j = torch.meshgrid(*[torch.linspace(-1, 1, size)] * 2, indexing="ij")
    waves = [0.4 + 0.1 * torch.sin(4 * i + shift) * torch.cos(4 * j) for shift in torch.rand(count) * 6]
    return torch.stack(waves)[:, None] * (i**2 + j**2 < 0.8)


def trained(network, epochs=60, rate=3e-3):
    set_determinism(1)
    optimizer = torch.optim.Adam(network.parameters(), rate)
    engine = MethodTrainer(
        device="cpu",
        max_epochs=epochs,
        train_data_loader=[{"image": heads()}],
        network=network,
        optimizer=optimizer,
        decollate=False,
    )
    engine.run()
    return engine


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("spatial", [(40, 36), (20, 24, 18)])
def test_forward_is_a_score_map(name, spatial):
    kind, options = SMALL[name]
    if kind is not IntensityThreshold:
        options = {**options, "spatial_dims": len(spatial)}
    network = kind(**options).eval()
    image = torch.rand(2, 1, *spatial)
    score = network(image)
    assert score.shape == image.shape
    assert 0 <= score.min() <= score.max() <= 1


def test_bright_is_abnormal_inside_the_body():
    image = torch.tensor([[[[0.0, 0.03, 0.5, 0.9]]]])
    torch.testing.assert_close(IntensityThreshold()(image), torch.tensor([[[[0.0, 0.0, 0.5, 0.9]]]]))


def test_equalised_scores_are_ranks_and_know_no_scale():
    image = torch.rand(1, 1, 30, 30) * 0.4 + 0.1
    score = IntensityThreshold(equalise=True)(image)
    ranks = (image.flatten()[:, None] >= image.flatten()).float().mean(dim=1)
    assert (score.flatten() - ranks).abs().max() < 0.005
    assert (IntensityThreshold(equalise=True)(2 * image) - score).abs().max() < 0.005
    assert IntensityThreshold(equalise=True)(torch.zeros(1, 1, 4, 4)).sum() == 0


def test_residual_and_twin_belong_together():
    for name in ("autoencoder", "denoising"):
        kind, options = SMALL[name]
        network = kind(**options).eval()
        told = network.explain(heads())
        torch.testing.assert_close(told["score"], (heads() - told["twin"]).abs())
        torch.testing.assert_close(network(heads()), told["score"])


def test_coarse_noise_is_coarse_and_in_the_body():
    torch.manual_seed(0)
    image = torch.full((64, 1, 128, 128), 0.5)
    image[..., :40] = 0
    noise = coarse_noise(image, grid=16, std=0.2)
    assert noise[..., :40].abs().max() == 0
    inside = noise[..., 41:]
    assert inside.std() == pytest.approx(0.2 * 2 / 3, rel=0.1)  # linear interpolation: variance 2/3 along each axis
    step = (inside[..., 1:] - inside[..., :-1]).std()
    assert step < 0.4 * inside.std()  # of white noise it is 1.4
    still = coarse_noise(torch.ones(1, 1, 16, 20, 24))
    assert still.shape == (1, 1, 16, 20, 24)


@pytest.mark.parametrize("name", ["autoencoder", "denoising"])
def test_a_spot_that_was_never_seen_differs_most(name):
    kind, _ = SMALL[name]
    options = {"autoencoder": {"channels": (8, 16, 16), "latent": 4}, "denoising": {"features": (8, 8, 8, 8, 8, 8)}}
    network = kind(**options[name])
    engine = trained(network)
    assert engine.state.output["loss"] < 0.02
    network.eval()
    ill = heads().clone()
    ill[:, :, 12:18, 12:18] += 0.45
    with torch.inference_mode():
        score = network(ill)
    spot = torch.zeros(32, 32, dtype=torch.bool)
    spot[12:18, 12:18] = True
    assert score[:, 0, spot].mean() > 2.5 * score[:, 0, ~spot].mean()


def test_slicewise_is_the_method_on_every_slice():
    network = SliceWise(Autoencoder(channels=(4, 4), latent=2).eval(), batch=2)
    volume = torch.rand(2, 1, 16, 20, 5)
    score, told = network(volume), network.explain(volume)
    assert score.shape == volume.shape
    torch.testing.assert_close(score[1:, ..., 3], network.method(volume[1:, ..., 3]))
    torch.testing.assert_close(told["twin"][:1, ..., 4], network.method.explain(volume[:1, ..., 4])["twin"])


def test_equalised_volume_is_ranked_as_a_whole():
    volume = torch.rand(1, 1, 8, 8, 4) * 0.5 + 0.1
    volume[..., 0] *= 1.8
    score = IntensityThreshold(equalise=True)(volume)
    order = np.argsort(volume.flatten().numpy())
    assert (np.diff(score.flatten().numpy()[order]) >= -1e-6).all()
