"""Semantic inpainting: weights and blending by hand, the hole filled, the mask found."""

import numpy as np
import pytest
import torch
from monai.utils import set_determinism

from anomaly.methods.anogan import AdversarialGame
from anomaly.methods.inpainting import SemanticInpainting, context_loss, context_weights, poisson_blend
from anomaly.networks import LatentGan


def gan(seed=0):
    """A small GAN with strong random weights, so that every z makes another image."""
    set_determinism(seed)
    made = LatentGan(patch=16, latent=4, channels=(16, 8))
    for parameter in made.generator.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return made.eval()


def square(shape=(16, 16), start=6, stop=10):
    hole = torch.zeros(1, 1, *shape)
    hole[(..., *(slice(start, stop),) * len(shape))] = 1
    return hole


def test_context_weights_of_one_unknown_voxel():
    known = torch.ones(1, 1, 7, 7)
    known[..., 3, 3] = 0
    near = torch.zeros(1, 1, 7, 7)
    near[..., 2:5, 2:5] = 1 / 9
    near[..., 3, 3] = 0
    torch.testing.assert_close(context_weights(known, window=3), near)
    torch.testing.assert_close(context_weights(known, window=3, released=True), known * (1 - near))
    volume = torch.ones(1, 1, 5, 5, 5)
    volume[..., 2, 2, 2] = 0
    assert context_weights(volume, window=3)[0, 0, 1, 1, 1].item() == pytest.approx(1 / 27)
    with pytest.raises(ValueError, match="odd"):
        context_weights(known, window=4)


def test_context_loss_by_hand():
    weights = torch.tensor([[[[0.0, 0.5]]], [[[1.0, 1.0]]]])
    loss = context_loss(torch.ones(2, 1, 1, 2), torch.tensor([[[[9.0, 3.0]]], [[[1.0, 0.0]]]]), weights)
    assert loss.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("shape", [(16, 16), (8, 9, 10)])
def test_blending_keeps_what_is_outside_and_what_only_differs_by_a_constant(shape):
    torch.manual_seed(0)
    image, hole = 0.3 + 0.3 * torch.rand(1, 1, *shape), square(shape, 3, 6)
    blended = poisson_blend(image, image - 0.2, hole)
    torch.testing.assert_close(blended, image, atol=1e-4, rtol=0)
    other = poisson_blend(image, torch.rand_like(image), hole)
    assert torch.equal(other[hole < 0.5], image[hole < 0.5])
    assert not torch.allclose(other, image)


def test_inside_the_hole_the_laplacian_is_the_generated_images():
    torch.manual_seed(0)
    image, generated, hole = torch.full((1, 1, 16, 16), 0.5), 0.1 * torch.rand(1, 1, 16, 16), square()
    blended = poisson_blend(image, generated, hole)
    kernel = torch.tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]])
    laplacians = [torch.nn.functional.conv2d(one, kernel, padding=1)[hole > 0.5] for one in (blended, generated)]
    torch.testing.assert_close(*laplacians, atol=1e-4, rtol=0)


def test_a_hole_at_the_edge_a_whole_hole_and_none():
    image, generated = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
    edge = torch.zeros(1, 1, 8, 8)
    edge[..., :4, :] = 1
    torch.testing.assert_close(poisson_blend(image, image + 0.1, edge), image, atol=1e-4, rtol=0)
    torch.testing.assert_close(poisson_blend(image, generated, torch.ones_like(image)), generated)
    torch.testing.assert_close(poisson_blend(image, generated, torch.zeros_like(image)), image)


def test_a_given_hole_is_filled_with_what_was_there():
    made = gan()
    with torch.no_grad():
        healthy = made.generate(made.draw(2, torch.Generator().manual_seed(5)))
    hole = square().expand(2, -1, -1, -1)
    damaged = torch.where(hole > 0.5, 1.0, healthy)
    method = SemanticInpainting(made, iterations=300, rate=0.05, restarts=4, prior=0.0)
    with torch.inference_mode():
        told = method.inpaint(damaged, 1 - hole)
    before = (damaged - healthy).abs()[hole > 0.5].mean()
    assert (told["blended"] - healthy).abs()[hole > 0.5].mean() < 0.1 * before
    assert torch.equal(told["blended"][hole < 0.5], damaged[hole < 0.5])


def test_the_mask_that_is_searched_with_z_is_the_damage():
    made = gan()
    with torch.no_grad():
        healthy = made.generate(made.draw(1, torch.Generator().manual_seed(5)))
    hole = square()
    damaged = torch.where(hole > 0.5, (healthy + 0.5).remainder(1), healthy)
    method = SemanticInpainting(made, iterations=300, rate=0.05, restarts=4, area=0.1, prior=0.0)
    with torch.inference_mode():
        mask, twin = method.search_mask(damaged)
    assert mask[hole > 0.5].min() > 0.9
    assert mask[hole < 0.5].mean() < 0.1
    assert (twin - healthy).abs().mean() < 0.03


def test_m_is_one_where_a_voxel_costs_more_than_mu():
    """Without steps for z there is nothing but M to search: by the gradient it leaves for 0 or 1 by the residual."""
    made = gan()
    with torch.no_grad():
        generated = made.generate(made.draw(1, torch.Generator().manual_seed(0)))
    method = SemanticInpainting(made, iterations=1, rate=1e-3, area=0.2, prior=0.0)
    image = (generated + torch.tensor([0.1, 0.3]).repeat(8)).clamp(0, 1)
    mask, _ = method.search_mask(image)
    residual = (image - generated).abs()
    clear = (residual - 0.2).abs() > 0.05
    assert ((mask > 0.5) == (residual > 0.2))[clear].all()


def test_forward_is_a_score_map_and_the_composite_is_ours():
    method = SemanticInpainting(gan(), iterations=2, game=AdversarialGame("dcgan")).eval()
    image = torch.rand(1, 1, 20, 33)
    image[..., :16] = 0
    with torch.inference_mode():
        told = method.explain(image)
        score = method(image)
    assert score.shape == image.shape
    assert 0 <= score.min() <= score.max() <= 1
    torch.testing.assert_close(score, told["score"])
    torch.testing.assert_close(told["composite"], (1 - score) * image + score * told["twin"])
    assert np.isfinite(told["twin"].numpy()).all()
