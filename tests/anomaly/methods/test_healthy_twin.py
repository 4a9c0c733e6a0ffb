"""HealthyTwin: the method's contract, its loss by hand, its trainer's events and determinism."""

import pytest
import torch
from ignite.engine import Events
from monai.engines import IterationEvents
from monai.utils import set_determinism

from anomaly.methods.healthy_twin import HealthyTwin, HealthyTwinLoss, HealthyTwinTrainer
from anomaly.networks import SliceDiscriminator, medicalnet_encoder

SMALL = {"decoder_channels": (8, 8, 8, 8, 8)}


def planted_batches(count=2, spatial=(32, 32, 4)):
    """Batches of noise with a bright box as the anomaly."""
    batches = []
    for seed in range(count):
        torch.manual_seed(seed)
        healthy = 0.3 + 0.05 * torch.rand(2, 1, *spatial)
        mask = torch.zeros_like(healthy)
        mask[:, :, 8:20, 8:20, 1:3] = 1
        batches.append({"image": (healthy + 0.4 * mask).clamp(0, 1), "healthy": healthy, "mask": mask})
    return batches


def trainer(batches, epochs=1, **options):
    set_determinism(7)
    network, judge = HealthyTwin(**SMALL), SliceDiscriminator(channels=4, num_layers=1)
    return HealthyTwinTrainer(
        device="cpu",
        max_epochs=epochs,
        train_data_loader=batches,
        network=network,
        optimizer=torch.optim.AdamW(network.parameters(), 2e-3),
        discriminator=judge,
        d_optimizer=torch.optim.AdamW(judge.parameters(), 2e-4),
        decollate=False,
        **options,
    )


@pytest.mark.parametrize(("spatial_dims", "spatial"), [(2, (40, 48)), (3, (40, 48, 5))])
def test_forward_is_a_score_map(spatial_dims, spatial):
    network = HealthyTwin(spatial_dims=spatial_dims, **SMALL).eval()
    score = network(torch.rand(1, 1, *spatial))
    assert score.shape == (1, 1, *spatial)
    assert score.min() >= 0
    assert score.max() <= 1


def test_composite_is_the_seeds_formula():
    network = HealthyTwin(**SMALL).eval()
    image = torch.rand(1, 1, 32, 32, 3)
    told = network.explain(image)
    torch.testing.assert_close(told["composite"], (1 - told["mask"]) * image + told["mask"] * told["twin"])
    torch.testing.assert_close(told["mask"], network(image))
    torch.testing.assert_close(told["twin"], (image + told["residual"]).clamp(0, 1))


def test_a_whole_volume_answers_as_its_slabs_do_in_the_middle():
    """Norm layers must not see the window: only the border of a slab may differ."""
    network = HealthyTwin(**SMALL).eval()
    image = torch.rand(1, 1, 32, 32, 60)
    with torch.inference_mode():
        torch.testing.assert_close(network(image)[..., 30], network(image[..., 8:52])[..., 22], rtol=1e-3, atol=1e-4)


def test_encoder_weights_are_loaded(tmp_path):
    source = medicalnet_encoder(10)
    torch.save({"state_dict": {f"module.{k}": v for k, v in source.state_dict().items()}}, tmp_path / "resnet.pth")
    network = HealthyTwin(**SMALL, encoder_weights=str(tmp_path / "resnet.pth"))
    assert torch.equal(network.generator.encoder.conv1.weight, source.conv1.weight)


def test_loss_by_hand():
    one, zero = torch.ones(1, 1, 2, 2, 1), torch.zeros(1, 1, 2, 2, 1)
    told = {"mask": zero + 0.5, "mask_logit": zero, "twin": zero + 0.2, "composite": zero + 0.1, "residual": zero}
    terms = HealthyTwinLoss(twin=2, mask=1, composite=3, area=4)(told, healthy=zero, mask=one)
    assert terms["twin"].item() == pytest.approx(2 * 5 * 0.2)
    assert terms["composite"].item() == pytest.approx(3 * 5 * 0.1)
    assert terms["area"].item() == 0
    assert terms["mask"].item() == pytest.approx(0.6931 + (1 - 2 * 2 / (4 + 2)), abs=1e-3)
    assert HealthyTwinLoss(area=4)(told, healthy=zero, mask=zero)["area"].item() == pytest.approx(4 * 0.5)


def test_perfect_answer_costs_nothing():
    mask = torch.zeros(1, 1, 4, 4, 2)
    mask[..., :2, :] = 1
    healthy = torch.rand_like(mask)
    told = {"mask": mask, "mask_logit": (mask * 2 - 1) * 50, "twin": healthy, "composite": healthy}
    assert HealthyTwinLoss()(told, healthy, mask)["generator"].item() == pytest.approx(0, abs=1e-4)


def test_trainer_fires_every_event_and_reports_every_loss():
    engine, fired = trainer(planted_batches()), []
    for event in (IterationEvents.MODEL_COMPLETED, IterationEvents.LOSS_COMPLETED, Events.ITERATION_COMPLETED):
        engine.add_event_handler(event, lambda _, name: fired.append(name), event.name)
    engine.run()
    assert {name: fired.count(name) for name in fired} == dict.fromkeys(
        ("MODEL_COMPLETED", "LOSS_COMPLETED", "ITERATION_COMPLETED"), 2
    )
    losses = {key for key in engine.state.output if key.endswith("_loss")}
    names = ("twin", "mask", "composite", "area", "adversarial", "generator", "discriminator")
    assert losses == {f"{name}_loss" for name in names}


def test_training_learns_the_mask_of_a_plain_anomaly():
    engine = trainer(planted_batches(4), epochs=10)
    first: list[float] = []
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), lambda e: first.append(e.state.output["mask_loss"]))
    engine.run()
    assert engine.state.output["mask_loss"] < 0.5 * first[0]


def test_the_adversary_reaches_the_generator():
    """With only the adversarial term left, the generator still gets gradients, ramped from nothing."""
    silent = HealthyTwinLoss(twin=0, mask=0, composite=0, area=0)
    engine = trainer(planted_batches(1), loss_function=silent, adversarial_weight=1.0, adversarial_ramp=4)
    before = [p.clone() for p in engine.network.generator.mask_head.parameters()]
    engine.run()
    after = list(engine.network.generator.mask_head.parameters())
    assert any(not torch.equal(one, two) for one, two in zip(before, after, strict=True))
    assert engine.state.output["adversarial_loss"] > 0
    assert all(p.grad is not None for p in engine.discriminator.parameters())


def test_one_seed_one_result():
    def weights():
        engine = trainer(planted_batches())
        engine.run()
        return engine.network.state_dict()

    one, two = weights(), weights()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_integer_images_are_refused():
    batch = planted_batches(1)[0]
    with pytest.raises(ValueError, match="floating point"):
        trainer([{**batch, "image": batch["image"].to(torch.uint8)}]).run()


def test_passes_look_at_what_the_first_left():
    network = HealthyTwin(**SMALL, passes=2).eval()
    image = torch.rand(1, 1, 32, 32, 3)
    with torch.inference_mode():
        first = network.explain(image)
        second = network.explain(first["composite"])
        told = network.examine(image)
        torch.testing.assert_close(told["score"], 1 - (1 - first["mask"]) * (1 - second["mask"]))
        torch.testing.assert_close(told["composite"], second["composite"])
        torch.testing.assert_close(network(image), told["score"])
    with pytest.raises(ValueError, match="passes"):
        HealthyTwin(**SMALL, passes=0)


@pytest.mark.parametrize(("spatial_dims", "spatial"), [(2, (40, 48)), (3, (40, 48, 5))])
def test_evidence_says_nothing_at_first_and_then_learns_while_the_frozen_encoder_does_not(spatial_dims, spatial):
    network = HealthyTwin(spatial_dims=spatial_dims, evidence=True, **SMALL)
    image = torch.rand(2, 1, *spatial)
    network.eval()
    distance, evidence = network.generator.distance, network.generator.evidence
    with torch.inference_mode():
        with_evidence = network(image)
        network.generator.evidence = None
        torch.testing.assert_close(network(image), with_evidence)
        network.generator.evidence = evidence
        assert distance(image, image).abs().max() < 1e-5
        assert distance(image, image.flip(2)).mean() > 1e-3
    before = {name: value.clone() for name, value in distance.state_dict().items()}
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        network.explain(image)["mask"].mean().backward()
        optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in distance.state_dict().items())
    assert evidence[-1].weight.abs().max() > 0


def test_weights_without_evidence_lend_their_encoder_to_the_frozen_one(tmp_path):
    plain = HealthyTwin(**SMALL)
    torch.save(plain.state_dict(), tmp_path / "plain.pt")
    network = HealthyTwin(**SMALL, evidence=True, weights=str(tmp_path / "plain.pt"))
    assert torch.equal(network.generator.distance.conv1.weight, plain.generator.encoder.conv1.weight)
    torch.save({"no": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="not the weights of this network"):
        HealthyTwin(**SMALL, weights=str(tmp_path / "other.pt"))
