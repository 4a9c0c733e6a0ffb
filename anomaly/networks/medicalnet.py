"""MedicalNet's ResNet encoder on MONAI's `ResNetFeatures`, with strides that suit thick slices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from monai.networks.nets import ResNetFeatures
from torch import Tensor, nn

from anomaly.files import atomically

_FOREIGN_HEADS = ("fc.", "conv_seg.")  # the heads of classification and of MedicalNet's own segmentation training
HUB_PREFIX = "hub:"


def medicalnet_encoder(
    depth: int = 10, *, spatial_dims: int = 3, slice_stride: int = 1, dilated: bool = False, channels: int = 1
) -> ResNetFeatures:
    """MedicalNet's ResNet [Chen, Ma & Zheng 2019, arXiv 1904.00625] as an encoder with five feature maps.

    Thick-slice series have 20 slices; five halvings would leave none. With `slice_stride=1` every stride
    along the last axis (the slices) is 1, so any number of slices works. Parameter names and shapes are
    MedicalNet's, hence its weights load either way.

    Args:
        depth: 10, 18, 34 or 50 layers.
        spatial_dims: 2 or 3. With 2, every axis is in-plane and `slice_stride` has no effect.
        slice_stride: 1 keeps the slice resolution at every level, 2 halves it with the in-plane resolution.
        dilated: as the original, whose last two stages keep the resolution of the second and dilate by 2 and 4.
            MONAI's halve it instead; weights' names and shapes are the same.
        channels: of the image.

    Returns:
        A module mapping `(B, C, *spatial)` to maps at in-plane strides 2, 4, 8, 16 and 32; dilated 2, 4, 8, 8 and 8.

    Raises:
        ValueError: `slice_stride` is neither 1 nor 2.
    """
    if slice_stride not in (1, 2):
        msg = f"slice_stride must be 1 or 2, got {slice_stride}"
        raise ValueError(msg)
    encoder = ResNetFeatures(f"resnet{depth}", pretrained=False, spatial_dims=spatial_dims, in_channels=channels)
    if dilated:
        _dilate(encoder.layer3, 2)
        _dilate(encoder.layer4, 4)
    if spatial_dims == 3 and slice_stride == 1:
        _keep_slices(encoder)
    return encoder


def encoder_stride(*, spatial_dims: int, slice_stride: int = 1) -> list[int]:
    """What the sizes of an image must be multiples of, so that every map of an encoder fits the one before."""
    return [32] * spatial_dims if spatial_dims == 2 or slice_stride == 2 else [32, 32, 1]


def load_medicalnet(encoder: nn.Module, source: str | Path) -> list[str]:
    """Load official MedicalNet weights into an encoder made by `medicalnet_encoder`.

    Args:
        encoder: the 3-D or 2-D encoder. For 2-D, kernels are summed along the slice axis, which gives what the
            3-D network answers on a volume that is constant along its slices.
        source: a checkpoint file in the official layout `{"state_dict": {"module.conv1.weight": ...}}` or a flat
            state dict; or `hub:TencentMedicalNet/MedicalNet-Resnet10/resnet_10_23dataset.pth`, which downloads
            (needs the extra `healthytwin[hub]`; nothing is downloaded unless asked for by this name).

    Returns:
        The names of the loaded tensors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no MedicalNet checkpoint of this depth; the message names the file and the keys.
    """
    path = _from_hub(str(source)) if str(source).startswith(HUB_PREFIX) else Path(source)
    if not path.is_file():
        msg = f"MedicalNet weights not found: {path}"
        raise FileNotFoundError(msg)
    state = _unwrap(torch.load(path, map_location="cpu", weights_only=True), path)
    target = encoder.state_dict()
    state = flattened(state, target)
    wrong = [key for key in state if key not in target or state[key].shape != target[key].shape]
    missing = [key for key in target if key not in state and not key.endswith("num_batches_tracked")]
    if wrong or missing:
        msg = f"{path}: not the weights of this encoder; unexpected or misshapen {wrong[:3]}, missing {missing[:3]}"
        raise ValueError(msg)
    encoder.load_state_dict(state, strict=False)
    return sorted(state)


def save_medicalnet(encoder: nn.Module, path: str | Path) -> None:
    """Write an encoder as the official files are: `{"state_dict": {"module.conv1.weight": ...}}`.

    Args:
        encoder: made by `medicalnet_encoder`.
        path: replaced in one step.
    """
    state = {f"module.{key}": value.detach().cpu() for key, value in encoder.state_dict().items()}
    with atomically(path) as partial_file, partial_file.open("wb") as stream:
        torch.save({"state_dict": state}, stream)  # given a name, torch writes that name into the file


def _keep_slices(encoder: nn.Module) -> None:
    """Set the last-axis stride of every strided layer to 1, in place."""
    for module in encoder.modules():
        if isinstance(module, nn.Conv3d | nn.MaxPool3d):
            stride = module.stride if isinstance(module.stride, tuple) else (module.stride,) * 3
            module.stride = (*stride[:2], 1)
        elif isinstance(shortcut := getattr(module, "downsample", None), partial):  # of 18 and 34 layers: no module
            stride = shortcut.keywords["stride"]
            stride = stride if isinstance(stride, tuple) else (stride,) * 3
            module.downsample = partial(shortcut, stride=(*stride[:2], 1))  # type: ignore[assignment]


def _dilate(stage: nn.Module, dilation: int) -> None:
    """Replace the stride of a stage by a dilation of its 3 x 3 x 3 kernels, in place."""
    for module in stage.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            ones = (1,) * len(module.kernel_size)
            module.stride = ones
            if module.kernel_size[0] == 3:
                module.dilation = module.padding = tuple(dilation for _ in ones)
        elif isinstance(shortcut := getattr(module, "downsample", None), partial):
            module.downsample = partial(shortcut, stride=1)  # type: ignore[assignment]


def _unwrap(checkpoint: object, path: Path) -> dict[str, Tensor]:
    """The flat state dict inside an official checkpoint, without the `module.` of DataParallel and foreign heads."""
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        msg = f"{path}: no state dict of tensors inside"
        raise ValueError(msg)
    flat = {key.removeprefix("module."): value for key, value in state.items()}
    return {key: value for key, value in flat.items() if not key.startswith(_FOREIGN_HEADS)}


def flattened(state: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a network for one of two dimensions or other channels; those that fit stay as they are.

    Kernels are summed along the slices: inside a volume that is the same on every slice, both networks answer alike.
    Kernels of one channel are spread evenly over several, those of several summed for one: where all channels are the
    same, both answer alike. What has one output for the image's one channel is repeated for each.

    Args:
        state: of the network that was trained.
        target: state dict of the network that is to go on.
    """
    return {key: _fit(value, target[key]) if key in target else value for key, value in state.items()}


def _fit(value: Tensor, target: Tensor) -> Tensor:
    """A kernel `(O, I, ...)` summed along its slices where the target is 2-D, and spread, summed or repeated."""
    value = value.sum(dim=-1) if value.ndim == 5 and target.ndim == 4 else value
    if value.ndim != target.ndim or value.ndim == 0 or value.shape == target.shape:
        return value
    if value.ndim >= 4 and value.shape[1] != target.shape[1] and 1 in (value.shape[1], target.shape[1]):
        count = target.shape[1]
        spread = (value.shape[0], count, *value.shape[2:])
        value = value.sum(dim=1, keepdim=True) if count == 1 else value.expand(spread) / count
    if value.shape[0] == 1 < target.shape[0] and value.shape[1:] == target.shape[1:]:
        value = value.expand(target.shape[0], *value.shape[1:])
    return value.clone()


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download

    owner, repository, file = name.removeprefix(HUB_PREFIX).split("/", 2)
    return Path(hf_hub_download(repo_id=f"{owner}/{repository}", filename=file))
