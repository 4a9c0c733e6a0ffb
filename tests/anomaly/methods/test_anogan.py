"""AnoGAN and f-AnoGAN: the game by hand, the search that finds what made an image, the encoder."""

import math

import pytest
import torch
from monai.utils import set_determinism

from anomaly.engines import MethodTrainer
from anomaly.methods.anogan import AdversarialGame, AnoGan, LatentGanTrainer, gradient_penalty
from anomaly.methods.fanogan import FastAnoGan
from anomaly.methods.latent_search import best_restart, search
from anomaly.networks import LatentGan

SMALL = {"patch": 16, "latent": 4, "channels": (16, 8)}


def gan(seed=0, **options):
    """A small GAN with strong random weights, so that every z makes another image."""
    set_determinism(seed)
    made = LatentGan(**{**SMALL, **options})
    for parameter in made.generator.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return made.eval()


def test_a_linear_critic_has_the_penalty_of_its_weights():
    weights = torch.tensor([3.0, 4.0, 0.0, 0.0])

    def judge(patches):
        return patches.flatten(1) @ weights[:, None]

    penalty = gradient_penalty(judge, torch.rand(5, 1, 2, 2), torch.rand(5, 1, 2, 2))
    assert penalty.item() == pytest.approx((5 - 1) ** 2)


def test_the_games_by_hand():
    def judge(patches):
        return patches.flatten(1).sum(dim=1, keepdim=True)

    real, fake = torch.full((2, 1, 1, 1), 2.0), torch.zeros(2, 1, 1, 1)
    wasserstein, original = AdversarialGame("wgan-gp"), AdversarialGame("dcgan")
    assert wasserstein.critic(judge, real, fake).item() == pytest.approx(-2)  # the slope is 1: no penalty
    assert wasserstein.generator(judge, fake).item() == pytest.approx(0)
    assert original.critic(judge, real, fake).item() == pytest.approx(math.log(1 + math.exp(-2)) + math.log(2))
    assert original.generator(judge, real).item() == pytest.approx(math.log(1 + math.exp(-2)))
    expected = math.log(1 - 1 / (1 + math.exp(-2)))
    assert original.prior(judge, real).tolist() == pytest.approx([expected] * 2, rel=1e-4)
    with pytest.raises(ValueError, match="vanilla"):
        AdversarialGame("vanilla")


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_search_finds_the_z_that_made_the_image(spatial_dims):
    made = gan(spatial_dims=spatial_dims, **({"patch": 8, "channels": (8, 8)} if spatial_dims == 3 else {}))
    wanted = made.draw(3, torch.Generator().manual_seed(7))
    with torch.inference_mode():
        patches = made.generate(wanted)
        found = AnoGan(made, iterations=300, rate=0.05, restarts=4).invert(patches)
        rebuilt = made.generate(found)
    assert (rebuilt - patches).abs().mean() < 0.01
    torch.testing.assert_close(found, wanted, atol=0.1, rtol=0.1)
    assert all(parameter.grad is None for parameter in made.parameters())


def test_restarts_keep_the_best_of_each():
    found = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    assert best_restart(found, torch.tensor([0.1, 0.9, 0.5, 0.2]), 2).tolist() == [[1.0], [4.0]]


def test_searches_in_one_batch_do_not_disturb_each_other():
    target = torch.tensor([[1.0], [-2.0]])

    def losses(value):
        return (value - target[: len(value)]).square().sum(dim=1)

    both, last = search([torch.zeros(2, 1)], losses, iterations=400, rate=0.05)
    alone, _ = search([torch.zeros(1, 1)], losses, iterations=400, rate=0.05)
    torch.testing.assert_close(both[0], target, atol=1e-2, rtol=0)
    torch.testing.assert_close(both[0][:1], alone[0])
    assert last.max() < 1e-3


def test_scores_of_a_patch_are_the_papers():
    made = gan()
    method = AnoGan(made, iterations=0, weight=0.25)
    patches = torch.rand(2, 1, 16, 16)
    told = method.patch_scores(patches)
    generated = made.generate(method.invert(patches))
    residual = (patches - generated).abs().sum(dim=(1, 2, 3))
    features = (made.features(patches) - made.features(generated)).abs().sum(dim=1)
    torch.testing.assert_close(told["residual"], residual)
    torch.testing.assert_close(told["score"], 0.75 * residual + 0.25 * features)


@pytest.mark.parametrize("kind", [AnoGan, FastAnoGan])
def test_forward_is_a_score_map_of_any_size_and_air_is_nothing(kind):
    options = {"iterations": 2} if kind is AnoGan else {"channels": (8, 8)}
    method = kind(gan(), **options).eval()
    image = torch.rand(1, 1, 40, 21)
    image[..., :16, :] = 0
    with torch.inference_mode():
        score, told = method(image), method.explain(image)
    assert score.shape == image.shape
    assert 0 <= score.min() <= score.max() <= 1
    torch.testing.assert_close(score, told["score"])
    assert score[..., :4, :].abs().max() == 0


def test_trainer_moves_the_generator_at_every_fifth_step():
    made = gan(3)
    optimizers = [torch.optim.Adam(part.parameters(), 1e-3) for part in (made.generator, made.critic)]
    batches = [{"image": torch.rand(4, 1, 16, 16)} for _ in range(4)]
    options = {"device": "cpu", "gan": made, "decollate": False, "max_epochs": 1}
    options |= {"optimizer": optimizers[0], "critic_optimizer": optimizers[1]}

    def weights():
        return [parameter.detach().clone() for parameter in made.generator.parameters()]

    before, judge = weights(), made.critic.net[0].conv.weight.detach().clone()
    LatentGanTrainer(train_data_loader=batches, **options).run()
    assert all(torch.equal(one, two) for one, two in zip(before, weights(), strict=True))
    assert not torch.equal(judge, made.critic.net[0].conv.weight)
    engine = LatentGanTrainer(train_data_loader=[*batches, *batches[:1]], **options)
    engine.run()
    assert not all(torch.equal(one, two) for one, two in zip(before, weights(), strict=True))
    assert engine.state.output["generator_loss"] != 0
    with pytest.raises(ValueError, match="patches of 16"):
        LatentGanTrainer(train_data_loader=[{"image": torch.rand(1, 1, 8, 8)}], **options).run()


def test_the_gan_learns_how_bright_its_patches_are():
    set_determinism(0)
    made = LatentGan(**SMALL)
    rates = {"lr": 2e-3, "betas": (0.0, 0.9)}
    batches = [{"image": 0.2 + 0.05 * torch.rand(16, 1, 16, 16)} for _ in range(80)]
    LatentGanTrainer(
        device="cpu",
        max_epochs=1,
        train_data_loader=batches,
        gan=made,
        optimizer=torch.optim.Adam(made.generator.parameters(), **rates),
        critic_optimizer=torch.optim.Adam(made.critic.parameters(), **rates),
        critic_steps=2,
        decollate=False,
    ).run()
    made.eval()
    with torch.inference_mode():
        assert made.generate(made.draw(32)).mean().item() == pytest.approx(0.225, abs=0.1)


def test_the_encoder_learns_izi_f_and_leaves_the_gan_as_it_was():
    made = gan()
    method = FastAnoGan(made, channels=(16, 8), kappa=0.5)
    patches = made.generate(0.5 * made.draw(16)).detach()
    terms = method.eval().losses(patches)
    assert terms["image"].item() + terms["features"].item() == pytest.approx(
        method.patch_scores(patches).mean().item(), rel=1e-4
    )
    before = [parameter.clone() for parameter in made.parameters()]
    first = method.patch_scores(patches).mean()
    MethodTrainer(
        device="cpu",
        max_epochs=60,
        train_data_loader=[{"image": patches}],
        network=method,
        optimizer=torch.optim.Adam(method.encoder.parameters(), 2e-3),
        decollate=False,
    ).run()
    assert method.patch_scores(patches).mean() < 0.5 * first
    assert all(torch.equal(one, two) for one, two in zip(before, made.parameters(), strict=True))
    assert not made.training
    assert method.encoder.training


def test_a_patch_must_be_halved_as_often_as_there_are_channels():
    with pytest.raises(ValueError, match="24 cannot be halved 4 times"):
        LatentGan(patch=24)
