"""The generator and the discriminator: shapes for any size, in 2-D and 3-D."""

import pytest
import torch

from anomaly.networks import SliceDiscriminator, TwinGenerator


@pytest.mark.parametrize("spatial", [(64, 64, 4), (50, 33, 3), (32, 96, 1)])
def test_3d_shapes(spatial):
    network = TwinGenerator(decoder_channels=(8, 8, 8, 8, 8)).eval()
    residual, logit = network(torch.rand(1, 1, *spatial))
    assert residual.shape == logit.shape == (1, 1, *spatial)


@pytest.mark.parametrize("spatial", [(64, 64), (50, 33)])
def test_2d_shapes(spatial):
    network = TwinGenerator(spatial_dims=2, decoder_channels=(8, 8, 8, 8, 8)).eval()
    assert network(torch.rand(2, 1, *spatial))[1].shape == (2, 1, *spatial)


def test_isotropic_strides_pad_the_last_axis():
    network = TwinGenerator(slice_stride=2, decoder_channels=(8, 8, 8, 8, 8)).eval()
    assert network(torch.rand(1, 1, 40, 40, 40))[0].shape == (1, 1, 40, 40, 40)


@pytest.mark.parametrize("slice_stride", [1, 2])
def test_slabs_do_not_show(slice_stride):
    torch.manual_seed(0)
    network = TwinGenerator(slice_stride=slice_stride, decoder_channels=(8, 8, 8, 8, 8), evidence=True).eval()
    image = torch.rand(1, 1, 40, 33, 7)
    whole = network.decode(image)
    seen = []
    network.blocks[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
    network.slab = 3
    for one, other in zip(network.decode(image), whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert seen == ([3, 3, 1] if slice_stride == 1 else [32])


def test_wrong_number_of_channels():
    with pytest.raises(ValueError, match="five"):
        TwinGenerator(decoder_channels=(8, 8))


def test_discriminator_judges_slices_one_by_one():
    torch.manual_seed(0)
    judge = SliceDiscriminator().eval()
    volume = torch.rand(2, 1, 64, 64, 3)
    logits = judge(volume)
    assert logits.shape[:2] == (6, 1)
    torch.testing.assert_close(judge(volume[:1, ..., 1:2]), logits[1:2])


def test_discriminator_in_2d():
    assert SliceDiscriminator(spatial_dims=2)(torch.rand(2, 1, 64, 64)).shape[:2] == (2, 1)
