"""Reverse distillation: distances by hand, a student that learns, a teacher that does not."""

import pytest
import torch
from monai.utils import set_determinism

from anomaly.engines import MethodTrainer
from anomaly.methods.reverse_distillation import ReverseDistillation, cosine_distance
from anomaly.networks import medicalnet_encoder


def method(spatial_dims=2):
    set_determinism(0)
    teacher = medicalnet_encoder(10, spatial_dims=spatial_dims)
    return ReverseDistillation(teacher, spatial_dims=spatial_dims, embedding=16)


def test_the_cosine_distance_knows_no_length():
    one = torch.tensor([[[[3.0, 1.0, 1.0]], [[0.0, 0.0, 1.0]]]])
    other = torch.tensor([[[[1.0, 0.0, -2.0]], [[0.0, 5.0, -2.0]]]])
    torch.testing.assert_close(cosine_distance(one, other), torch.tensor([[[[0.0, 1.0, 2.0]]]]))


@pytest.mark.parametrize(("spatial_dims", "spatial"), [(2, (40, 70)), (3, (36, 40, 3))])
def test_forward_is_a_score_map_and_the_mean_of_its_stages(spatial_dims, spatial):
    network = method(spatial_dims).eval()
    image = torch.rand(1, 1, *spatial)
    with torch.inference_mode():
        told = network.explain(image)
        torch.testing.assert_close(network(image), told["score"])
    assert all(value.shape == image.shape for value in told.values())
    torch.testing.assert_close(told["score"], (told["stage_1"] + told["stage_2"] + told["stage_3"]) / 6)


def test_the_student_learns_healthy_images_and_a_spot_stands_out():
    network = method()
    i, j = torch.meshgrid(*[torch.linspace(-3, 3, 64)] * 2, indexing="ij")
    healthy = torch.stack([0.4 + 0.1 * torch.sin(i + shift) * torch.cos(j) for shift in (0.0, 1.0, 2.0)])[:, None]
    teacher = [parameter.clone() for parameter in network.teacher.state_dict().values()]
    network.train()
    before = sum(network.losses(healthy).values()).item()
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
    engine = MethodTrainer(
        device="cpu",
        max_epochs=30,
        train_data_loader=[{"image": healthy}],
        network=network,
        optimizer=torch.optim.Adam(weights, 5e-3),
        decollate=False,
    )
    engine.run()
    assert engine.state.output["loss"] < 0.4 * before
    assert all(torch.equal(one, two) for one, two in zip(teacher, network.teacher.state_dict().values(), strict=True))
    network.eval()
    ill = healthy.clone()
    ill[..., 20:32, 20:32] = 1
    with torch.inference_mode():
        gain = (network(ill) - network(healthy))[:, 0]
    assert gain[:, 20:32, 20:32].mean() > 0.02
    assert gain[:, 20:32, 20:32].mean() > 1.5 * gain[:, 52:, 52:].mean()
