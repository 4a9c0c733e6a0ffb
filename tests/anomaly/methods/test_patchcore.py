"""PatchCore: the coreset by hand, the bank, the score of what was never seen."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from anomaly.methods.patchcore import PatchCore, coreset
from anomaly.networks import medicalnet_encoder


def patchcore(spatial_dims=2, **options):
    torch.manual_seed(0)
    return PatchCore(medicalnet_encoder(10, spatial_dims=spatial_dims), spatial_dims=spatial_dims, **options).eval()


def test_the_coreset_is_chosen_by_the_farthest_first():
    points = torch.tensor([[0.0, 0], [1, 0], [10, 0], [10.5, 0], [5, 8]])
    # the mean is (5.3, 1.6): nearest to it is (1, 0); then the farthest, (10.5, 0), then (5, 8), then (0, 0)
    assert coreset(points, size=4).tolist() == [1, 3, 4, 0]
    assert coreset(points, size=9).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="at least one"):
        coreset(points, size=0)


def test_a_coreset_covers_better_than_chance():
    torch.manual_seed(0)
    points = torch.cat([torch.randn(300, 8) * 0.1, torch.randn(5, 8) * 5])

    def cover(chosen):
        return torch.cdist(points, points[chosen]).min(dim=1).values.max()

    assert cover(coreset(points, size=20)) < 0.3 * cover(torch.arange(20))


@pytest.mark.parametrize(("spatial_dims", "spatial"), [(2, (40, 36)), (3, (36, 20, 3))])
def test_the_healthy_images_themselves_are_at_most_at_one_half(spatial_dims, spatial):
    method = patchcore(spatial_dims, size=30, channels=64)
    healthy = 0.3 + 0.05 * torch.rand(2, 1, *spatial)
    method.fill([healthy[:1], healthy[1:]])
    score, told = method(healthy), method.explain(healthy)
    assert score.shape == healthy.shape
    torch.testing.assert_close(score, told["distance"] / (told["distance"] + method.scale))
    assert 0 <= score.min() <= score.max() <= 0.5 + 1e-5
    assert score.max() > 0.3


def test_a_change_raises_the_score_where_it_is():
    method = patchcore(size=50, channels=64)
    healthy = 0.3 + 0.05 * torch.rand(1, 1, 160, 160)
    method.fill([healthy])
    ill = healthy.clone()
    ill[..., 16:32, 16:32] = 1
    gain = (method(ill) - method(healthy))[0, 0]
    assert gain[16:32, 16:32].mean() > 0.1
    assert gain[16:32, 16:32].mean() > 5 * gain[112:, 112:].abs().mean()


def test_a_bank_that_holds_everything_is_at_no_distance():
    method = patchcore(size=100, channels=32)
    image = 0.3 + 0.05 * torch.rand(1, 1, 32, 32)
    method.fill([image])
    assert method.explain(image)["distance"].max() < 1e-3
    again = patchcore(size=100, channels=32)
    again.load_state_dict(method.state_dict())
    torch.testing.assert_close(again(image), method(image))
    with pytest.raises(ValueError, match="no healthy image"):
        method.fill([])


def plain_coreset(points, size, first):
    """Farthest first, by exact distances."""
    chosen, nearest = [first], np.full(len(points), np.inf)
    while len(chosen) < size:
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen[-1]], axis=1))
        chosen.append(int(nearest.argmax()))
    return points[chosen]


def test_it_ranks_as_the_paper_written_out_plainly_does():
    """Exact distances without a projection, another first feature, neighbours by scikit-learn: AUROC within 0.02.

    A quarter of the features are kept, as in the paper; of few, the first one decides too much. Against anomalib's own,
    `pipelines.figures.peer` compares it, in an environment that has anomalib.
    """
    torch.manual_seed(1)
    healthy, ill = (0.3 + 0.05 * torch.rand(3, 1, 160, 160) for _ in range(2))
    truth = torch.zeros(3, 1, 160, 160, dtype=torch.bool)
    truth[..., 48:96, 64:112] = True
    ill = torch.where(truth, ill + 0.003, ill)
    method = patchcore(size=300, channels=256)
    method.fill(healthy.split(1))
    points, asked = (method.features(images).movedim(1, -1).numpy() for images in (healthy, ill))
    bank = NearestNeighbors(n_neighbors=1).fit(plain_coreset(points.reshape(-1, 256), 300, first=0))
    nearest, _ = bank.kneighbors(asked.reshape(-1, 256))
    maps = torch.as_tensor(nearest, dtype=torch.float32).reshape(3, 1, *asked.shape[1:3])
    theirs = F.interpolate(maps, size=(160, 160), mode="bilinear", align_corners=False)
    ours = method.explain(ill)["distance"]
    one, other = (roc_auc_score(truth.flatten(), scores.flatten()) for scores in (ours, theirs))
    assert 0.6 < other < 0.9, "neither chance nor trivial"
    assert one == pytest.approx(other, abs=0.02)
