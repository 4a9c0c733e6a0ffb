"""Weights of a timm backbone, from a file that the user has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

_COUNTER = "num_batches_tracked"  # old checkpoints lack it, and no answer depends on it


def load_backbone(extractor: nn.Module, path: str | Path) -> list[str]:
    """Load a timm checkpoint into the part of that network that gives features.

    What the extractor lacks (the classifier, stages that nobody asked for) is left out. timm keeps the names of a
    ResNet in its form for features; where a backbone is renamed there, its weights are refused, not loaded in part.

    Args:
        extractor: of `timm.create_model(..., features_only=True)`. In anomalib's models it is
            `model.feature_extractor.feature_extractor`.
        path: `.safetensors`, or a file of `torch.save` with tensors by name, perhaps under `state_dict`.

    Returns:
        The names of the loaded tensors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no such weights; the message names the file and the tensors.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"backbone weights not found: {path}"
        raise FileNotFoundError(msg)
    state, target = _read(path), extractor.state_dict()
    missing = [
        name
        for name, value in target.items()
        if not name.endswith(_COUNTER) and (name not in state or state[name].shape != value.shape)
    ]
    if missing:
        msg = f"{path}: not the weights of this backbone; {len(missing)} missing or misshapen, such as {missing[:3]}"
        raise ValueError(msg)
    loaded = {name: value for name, value in state.items() if name in target}
    extractor.load_state_dict(loaded, strict=False)
    return sorted(loaded)


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by their names."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except SafetensorError as error:
            msg = f"{path}: no safetensors file ({error})"
            raise ValueError(msg) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        msg = f"{path}: no file of weights alone"
        raise ValueError(msg) from error
    state = state.get("state_dict", state) if isinstance(state, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        msg = f"{path}: no tensors by name inside"
        raise ValueError(msg)
    return dict(state)
