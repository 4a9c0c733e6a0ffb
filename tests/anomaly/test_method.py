"""Every method is a `Method`: its examination says what its call says, and has a twin or none."""

import pytest
import torch
from torch import nn

from anomaly.method import Method, ScoreOnly, as_method
from anomaly.methods.anogan import AnoGan
from anomaly.methods.autoencoder import Autoencoder
from anomaly.methods.denoising import DenoisingAutoencoder
from anomaly.methods.fanogan import FastAnoGan
from anomaly.methods.healthy_twin import HealthyTwin
from anomaly.methods.inpainting import SemanticInpainting
from anomaly.methods.intensity import IntensityThreshold
from anomaly.methods.patchcore import PatchCore
from anomaly.methods.proxyano import ProxyAno
from anomaly.methods.reverse_distillation import ReverseDistillation
from anomaly.networks import LatentGan, SliceWise, medicalnet_encoder

FEATURES = (8, 8, 8, 8, 8, 8)


def gan():
    return LatentGan(patch=32, latent=4, channels=(8, 8))


METHODS = {
    "intensity": IntensityThreshold,
    "autoencoder": lambda: Autoencoder(channels=(4, 4), latent=2),
    "denoising": lambda: DenoisingAutoencoder(features=FEATURES),
    "anogan": lambda: AnoGan(gan(), iterations=1),
    "fanogan": lambda: FastAnoGan(gan(), channels=(8, 8)),
    "inpainting": lambda: SemanticInpainting(gan(), iterations=1),
    "proxyano": lambda: ProxyAno(channels=(4, 4), items=8, features=FEATURES),
    "patchcore": lambda: PatchCore(medicalnet_encoder(10, spatial_dims=2), spatial_dims=2, size=8),
    "reverse_distillation": lambda: ReverseDistillation(medicalnet_encoder(10, spatial_dims=2), embedding=8),
    "healthy_twin": lambda: HealthyTwin(spatial_dims=2, decoder_channels=(8,) * 5),
}
WITHOUT_TWIN = {"intensity", "patchcore", "reverse_distillation"}
ARTIFICIAL_MASK = {"inpainting", "healthy_twin"}


@pytest.mark.parametrize("name", METHODS)
def test_an_examination_says_what_the_call_says(name):
    torch.manual_seed(0)
    method = METHODS[name]().eval()
    assert isinstance(method, Method)
    image = torch.rand(1, 1, 64, 48)
    score, answer = method(image), method.examine(image)
    torch.testing.assert_close(answer["score"], score)
    assert score.shape == image.shape
    assert ("twin" in answer) == (name not in WITHOUT_TWIN)
    assert ("composite" in answer) == (name in ARTIFICIAL_MASK), "where there is a mask, only its part is made healthy"
    assert {value.shape for value in answer.values()} == {image.shape}
    assert method.explain(image)


def test_slices_are_examined_as_one_volume():
    torch.manual_seed(0)
    network = SliceWise(METHODS["autoencoder"]().eval(), batch=2)
    volume = torch.rand(1, 1, 16, 16, 5)
    answer = network.examine(volume)
    assert isinstance(network, Method)
    torch.testing.assert_close(answer["score"], network(volume))
    assert answer["twin"].shape == volume.shape


def test_a_network_with_nothing_but_forward_is_one_too():
    class Halved(nn.Module):
        def forward(self, image):
            return image / 2

    method, image = as_method(Halved()), torch.rand(1, 1, 4, 4)
    assert isinstance(method, ScoreOnly)
    assert list(method.examine(image)) == ["score"]
    torch.testing.assert_close(method(image), image / 2)
    assert as_method(method) is method
