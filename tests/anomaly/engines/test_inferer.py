"""`SlabInferer`: looks at several sizes."""

import pytest
import torch

from anomaly.engines import SlabInferer


def test_a_smaller_look_wins_where_it_scores_higher():
    """A network that knows its own field of view only: it scores what is 8 voxels wide, wherever it is."""

    def network(image):
        score = (image > 0.5).float() * float(image.shape[2] == 8)
        return torch.cat([score, image], dim=1)

    image = torch.zeros(1, 1, 16, 16, 3)
    image[:, :, 4:12, 4:12] = 1.0
    assert not SlabInferer()(image, network)[:, :1].any()
    found = SlabInferer(zooms=[0.5])(image, network)
    assert found.shape == (1, 2, 16, 16, 3)
    assert found[0, 0, 8, 8, 1] == 1.0
    assert not found[0, 0, 1, 1].any()


@pytest.mark.parametrize("zoom", [0.0, 1.0, 1.5])
def test_a_zoom_that_is_none_is_refused(zoom):
    with pytest.raises(ValueError, match="zooms"):
        SlabInferer(zooms=[zoom])
