"""MedicalNet: the official checkpoint layout loads key for key; thick slices keep their number."""

import pytest
import torch
from monai.networks.nets import ResNetFeatures

from anomaly.networks import load_medicalnet, medicalnet_encoder, save_medicalnet


def official(path, depth=10, extra=None):
    """Write a checkpoint as Tencent's files are: DataParallel names under `state_dict`."""
    torch.manual_seed(depth)
    source = ResNetFeatures(f"resnet{depth}", pretrained=False, spatial_dims=3, in_channels=1)
    state = {f"module.{key}": value for key, value in source.state_dict().items()}
    torch.save({"state_dict": state | (extra or {})}, path)
    return source


@pytest.mark.parametrize("depth", [10, 18, 34, 50])
def test_official_layout_loads_key_for_key(tmp_path, depth):
    source = official(tmp_path / "resnet.pth", depth)
    encoder = medicalnet_encoder(depth)
    loaded = load_medicalnet(encoder, tmp_path / "resnet.pth")
    assert set(loaded) == set(source.state_dict())
    for key, value in source.state_dict().items():
        assert torch.equal(encoder.state_dict()[key], value), key


def test_segmentation_head_is_left_out(tmp_path):
    official(tmp_path / "resnet.pth", extra={"module.conv_seg.0.weight": torch.zeros(2, 2)})
    assert not [key for key in load_medicalnet(medicalnet_encoder(10), tmp_path / "resnet.pth") if "conv_seg" in key]


def test_flat_state_dict_loads(tmp_path):
    source = official(tmp_path / "resnet.pth")
    torch.save(source.state_dict(), tmp_path / "flat.pth")
    load_medicalnet(medicalnet_encoder(10), tmp_path / "flat.pth")


def test_summed_kernels_answer_as_the_3d_network_on_constant_slices(tmp_path):
    source = official(tmp_path / "resnet.pth").eval()
    flat = medicalnet_encoder(10, spatial_dims=2)
    load_medicalnet(flat, tmp_path / "resnet.pth")
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        first_2d = flat.eval().conv1(image)
        first_3d = source.conv1(image[..., None].expand(-1, -1, -1, -1, 32))[..., 8]
    torch.testing.assert_close(first_2d, first_3d, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("slices", [3, 20])
def test_slices_are_kept_at_every_level(slices):
    features = medicalnet_encoder(10)(torch.rand(2, 1, 64, 32, slices))
    assert [tuple(f.shape[2:]) for f in features] == [(64 // s, 32 // s, slices) for s in (2, 4, 8, 16, 32)]


def test_isotropic_strides_are_medicalnets():
    features = medicalnet_encoder(10, slice_stride=2)(torch.rand(2, 1, 64, 64, 64))
    assert [f.shape[-1] for f in features] == [32, 16, 8, 4, 2]


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        load_medicalnet(medicalnet_encoder(10), tmp_path / "nowhere.pth")


def test_weights_of_another_depth_are_refused(tmp_path):
    official(tmp_path / "resnet18.pth", 18)
    with pytest.raises(ValueError, match=r"resnet18\.pth"):
        load_medicalnet(medicalnet_encoder(10), tmp_path / "resnet18.pth")


def test_no_state_dict_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="no state dict"):
        load_medicalnet(medicalnet_encoder(10), tmp_path / "other.pth")


def test_the_hub_is_asked_only_by_name(tmp_path, monkeypatch):
    """`hub:owner/repository/file` goes to huggingface_hub with just these words; nothing else does."""
    import sys
    import types

    source, asked = official(tmp_path / "resnet.pth"), []
    hub = types.ModuleType("huggingface_hub")
    hub.hf_hub_download = lambda **words: asked.append(words) or str(tmp_path / "resnet.pth")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    load_medicalnet(medicalnet_encoder(10), tmp_path / "resnet.pth")
    assert asked == []
    encoder = medicalnet_encoder(10)
    load_medicalnet(encoder, "hub:TencentMedicalNet/MedicalNet-Resnet10/resnet_10_23dataset.pth")
    assert asked == [{"repo_id": "TencentMedicalNet/MedicalNet-Resnet10", "filename": "resnet_10_23dataset.pth"}]
    assert torch.equal(encoder.conv1.weight, source.conv1.weight)


@pytest.mark.parametrize("depth", [10, 18, 34, 50])
def test_original_dilation_keeps_the_resolution_and_the_weights(tmp_path, depth):
    source = official(tmp_path / "resnet.pth", depth)
    encoder = medicalnet_encoder(depth, slice_stride=2, dilated=True).eval()
    load_medicalnet(encoder, tmp_path / "resnet.pth")
    with torch.inference_mode():
        maps = encoder(torch.rand(1, 1, 32, 32, 32))
    assert [one.shape[-1] for one in maps] == [16, 8, 4, 4, 4]
    assert {key: value.shape for key, value in encoder.state_dict().items()} == {
        key: value.shape for key, value in source.state_dict().items()
    }


def test_dilated_stages_are_the_strided_ones_where_neither_matters():
    """A kernel that is zero but in its middle sees one voxel: dilation changes nothing, stride only thins out."""
    torch.manual_seed(0)
    strided = medicalnet_encoder(10, slice_stride=2).eval()
    dilated = medicalnet_encoder(10, slice_stride=2, dilated=True).eval()
    for name, parameter in strided.named_parameters():
        if name.startswith(("layer3", "layer4")) and parameter.shape[2:] == (3, 3, 3):
            middle = parameter.data[:, :, 1, 1, 1].clone()
            parameter.data.zero_()
            parameter.data[:, :, 1, 1, 1] = middle
    dilated.load_state_dict(strided.state_dict())
    image = torch.rand(1, 1, 32, 32, 32)
    with torch.inference_mode():
        for level, step in ((3, 2), (4, 4)):
            torch.testing.assert_close(dilated(image)[level][..., ::step, ::step, ::step], strided(image)[level])


@pytest.mark.parametrize("depth", [18, 34])
def test_shortcuts_without_weights_keep_the_slices_too(depth):
    maps = medicalnet_encoder(depth).eval()(torch.rand(1, 1, 32, 32, 5))
    assert [one.shape[-1] for one in maps] == [5] * 5


def test_what_is_saved_is_the_official_layout_and_loads(tmp_path):
    torch.manual_seed(1)
    encoder = medicalnet_encoder(10)
    save_medicalnet(encoder, tmp_path / "ours.pth")
    written = torch.load(tmp_path / "ours.pth", weights_only=True)
    official(tmp_path / "theirs.pth")
    assert set(written["state_dict"]) == set(torch.load(tmp_path / "theirs.pth", weights_only=True)["state_dict"])
    other = medicalnet_encoder(10)
    load_medicalnet(other, tmp_path / "ours.pth")
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in encoder.state_dict().items())
