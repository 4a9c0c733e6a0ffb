"""Anomalies in images of several channels: one shape, a strength of its own in each, and a channel may be gone."""

import numpy as np
import pytest
import torch

from anomaly.synthesis import PlantAnomalyd


def image(channels=2, blank=()):
    rng = np.random.default_rng(0)
    array = (0.4 + 0.02 * rng.normal(size=(channels, 48, 48, 6))).astype(np.float32)
    for number in blank:
        array[number] = np.clip(0.02 * rng.normal(size=array.shape[1:]), 0, 1)
    return torch.as_tensor(array)


def planted(item, **options):
    transform = PlantAnomalyd(families=["plateau"], prob=1.0, radius=(6, 10), seed_keys=["case"], **options)
    return [transform({"image": item, "case": case}) for case in range(24)]


def changed(item):
    return [bool((item["image"][number] - item["healthy"][number]).abs().max() > 0.03) for number in range(2)]


def test_a_lesion_shows_in_one_or_both_with_strengths_of_their_own():
    items = planted(image())
    patterns = {tuple(changed(item)) for item in items}
    assert patterns == {(True, True), (True, False), (False, True)}
    assert all(item["mask"].shape == (1, 48, 48, 6) and item["mask"].any() for item in items)
    both = next(item for item in items if all(changed(item)))
    one, other = (float((both["image"][n] - both["healthy"][n])[both["mask"][0] > 0].mean()) for n in range(2))
    assert abs(one - other) > 0.01


def test_windows_of_one_scan_show_it_alike():
    items = planted(image(), linked=True)
    assert sum(all(changed(item)) for item in items) > 0.8 * len(items), "one may be too faint to count"
    for item in (item for item in items if all(changed(item))):
        change = item["image"] - item["healthy"]
        one, other = (float(channel[item["mask"][0] > 0].mean()) for channel in change)
        assert one * other > 0, "both brighter, or both darker"


def test_channels_are_taken_away_but_never_all():
    items = planted(image(), drop=1.0)
    there = {tuple(bool(channel.any()) for channel in item["image"]) for item in items}
    assert there == {(True, False), (False, True)}
    assert all(torch.equal(item["healthy"].any(3).any(2).any(1), item["image"].any(3).any(2).any(1)) for item in items)


def test_nothing_is_planted_into_a_channel_that_is_missing_and_its_noise_goes():
    for item in planted(image(blank=[1])):
        assert not item["image"][1].any()
        assert changed(item) == [True, False]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_trained_network_answers_alike_where_all_channels_are_the_same(channels, tmp_path):
    from anomaly.methods.healthy_twin import HealthyTwin

    small = {"decoder_channels": (8, 8, 8, 8, 8), "evidence": True}
    torch.manual_seed(0)
    before = HealthyTwin(**small).eval()
    torch.save(before.state_dict(), tmp_path / "w.pt")
    after = HealthyTwin(**small, channels=channels, weights=str(tmp_path / "w.pt")).eval()
    one = torch.rand(1, 1, 32, 32, 4)
    with torch.inference_mode():
        torch.testing.assert_close(after(one.expand(-1, channels, -1, -1, -1)), before(one), atol=1e-4, rtol=1e-3)
        assert after.explain(one.expand(-1, channels, -1, -1, -1))["twin"].shape == (1, channels, 32, 32, 4)
