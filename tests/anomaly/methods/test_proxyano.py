"""ProxyAno: superpixel means, the memory's addressing, pseudo-anomalies, the trainer."""

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.utils import set_determinism
from skimage.segmentation import slic

from anomaly.methods.proxyano import ProxyAno, ProxyAnoTrainer, paste
from anomaly.networks import Memory, SliceDiscriminator, superpixel_image

SMALL = {"channels": (8, 8), "items": 16, "features": (8, 8, 8, 8, 8, 8)}


def quarters():
    """Four plain squares."""
    image = torch.zeros(1, 32, 32)
    for number, (i, j) in enumerate([(0, 0), (0, 16), (16, 0), (16, 16)]):
        image[:, i : i + 16, j : j + 16] = 0.2 * (number + 1)
    return image


def test_every_superpixel_has_its_mean():
    torch.manual_seed(0)
    image = (quarters() + 0.02 * torch.randn(1, 32, 32)).clamp(0, 1)
    proxy = superpixel_image(image, voxels=64)
    labels = slic(image[0].double().numpy(), n_segments=16, compactness=0.1, channel_axis=None, start_label=0)
    assert len(np.unique(labels)) > 4
    for label in np.unique(labels):
        inside = torch.as_tensor(labels == label)
        torch.testing.assert_close(proxy[0, inside], image[0, inside].mean().expand(int(inside.sum())))


def test_a_plain_image_is_its_own_proxy_and_details_are_lost():
    torch.testing.assert_close(superpixel_image(quarters()), quarters())
    dot = quarters()
    dot[:, 8, 8] = 1
    assert superpixel_image(dot)[0, 8, 8] < 0.3
    volume = torch.rand(1, 8, 8, 8)
    proxy = superpixel_image(volume)
    assert proxy.shape == volume.shape
    assert proxy.mean() == pytest.approx(volume.mean().item(), abs=1e-5)
    assert len(proxy.unique()) <= 8


def test_the_memory_is_addressed_by_the_cosine():
    memory = Memory(items=3, channels=2, shrink=0.25)
    memory.items.data = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    weights = torch.softmax(torch.tensor([1.0, 0.0, -1.0]), dim=0)  # 0.665, 0.245, 0.090: one is above 0.25
    assert weights[0] > 0.25 > weights[1]
    torch.testing.assert_close(memory.address(torch.tensor([[5.0, 0.0]])), torch.tensor([[1.0, 0.0, 0.0]]))
    memory.shrink = 0.0
    torch.testing.assert_close(memory.address(torch.tensor([[5.0, 0.0]]))[0], weights)
    read, entropy = memory(torch.tensor([[[[5.0]], [[0.0]]]]))
    torch.testing.assert_close(read[0, :, 0, 0], weights @ memory.items)
    assert entropy.item() == pytest.approx(-(weights * weights.log()).sum().item(), rel=1e-4)


def test_a_box_of_another_image_is_pasted():
    torch.manual_seed(0)
    proxy, image = torch.zeros(8, 1, 40, 40), torch.ones(8, 1, 40, 40)
    pasted = paste(proxy, image)
    parts = pasted.mean(dim=(1, 2, 3))
    assert parts.min() >= 0.1 * 0.1
    assert parts.max() <= 0.3 * 0.3 + 1e-6
    rows = pasted[0, 0].any(dim=1).sum() * pasted[0, 0].any(dim=0).sum()
    assert rows == pasted[0].sum(), "it is a box"
    assert proxy.max() == 0


@pytest.mark.parametrize("spatial", [(20, 36), (20, 12, 18)])
def test_forward_is_a_score_map(spatial):
    network = ProxyAno(spatial_dims=len(spatial), **SMALL).eval()
    image = torch.rand(1, 1, *spatial)
    told = network.explain(image)
    assert all(value.shape == image.shape for value in told.values())
    torch.testing.assert_close(told["score"], (image - told["twin"]).abs())
    assert 0 <= network(image).min() <= network(image).max() <= 1


def test_training_learns_proxy_and_image_and_trains_the_judge():
    set_determinism(0)
    network, judge = ProxyAno(**SMALL), SliceDiscriminator(spatial_dims=2, channels=4, num_layers=1)
    images = torch.stack([quarters(), quarters().flip(1), quarters().flip(2)])
    batch = {"image": images, "proxy": torch.stack([superpixel_image(image) for image in images])}
    engine = ProxyAnoTrainer(
        device="cpu",
        max_epochs=25,
        train_data_loader=[batch],
        network=network,
        optimizer=torch.optim.Adam(network.parameters(), 5e-3),
        discriminator=judge,
        d_optimizer=torch.optim.Adam(judge.parameters(), 1e-3),
        decollate=False,
    )
    first: dict[str, float] = {}
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), lambda e: first.update(e.state.output))
    items, patch = network.memory.items.detach().clone(), [p.detach().clone() for p in judge.parameters()]
    engine.run()
    last = engine.state.output
    for term in ("proxy", "reconstruction", "pseudo"):
        assert last[f"{term}_loss"] < 0.6 * first[f"{term}_loss"], term
    assert last["entropy_loss"] > 0
    assert not torch.equal(items, network.memory.items)
    assert any(not torch.equal(one, two) for one, two in zip(patch, judge.parameters(), strict=True))
    terms = [value for name, value in last.items() if name.endswith("_loss") and name != "discriminator_loss"]
    assert last["loss"] == pytest.approx(sum(terms), rel=1e-5)
