"""anomalib's PatchCore as a row: its torch model on the benchmark's slices, without its engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.benchmark.trainer import Trainer
from pipelines.machine.files import printable

if TYPE_CHECKING:
    from torch import Tensor, nn

_BACKBONE, _NAME = "resnet18", "ResNet-18"
_LAYERS = ("layer2", "layer3")  # as anomalib has them
_SIZE, _STRIDE = 256, 8  # of the model's input, and of its features
_CHOICE = 32  # features from which each one of the bank is chosen; anomalib's own 10 would leave too few slices


def backbone_of(trainer: Trainer) -> str:
    """The name of the backbone's weights, for the title."""
    from anomaly.bundle import sha256_of

    if trainer.backbone is None:
        return f"random {_NAME}"
    return f"{_NAME} of {printable(Path(trainer.backbone.name))} (SHA-256 {sha256_of(trainer.backbone)[:12]})"


def patchcore(trainer: Trainer) -> nn.Module:
    """anomalib's `PatchcoreModel`, with a bank as large as our PatchCore's.

    Raises:
        ImportError: anomalib cannot be imported.
        ValueError: the trainer's backbone is no such weights.
    """
    from anomaly.methods.anomalib_model import AnomalibModel, load_backbone, require_anomalib
    from anomaly.networks import SliceWise

    require_anomalib()
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    model = PatchcoreModel(layers=_LAYERS, backbone=_BACKBONE, pre_trained=False)
    if trainer.backbone is not None:
        load_backbone(model.feature_extractor.feature_extractor, trainer.backbone)
    method = AnomalibModel(model, size=_SIZE).to(trainer.device)

    def choose(collected: Any) -> None:
        features = sum(len(part) for part in collected.embedding_store)
        collected.subsample_embedding(min(1.0, trainer.settings.bank / features))

    method.fit(_slices(trainer), finish=choose)
    return SliceWise(method)


def _slices(trainer: Trainer) -> list[Tensor]:
    """Healthy slices, drawn at random, each `(1, 1, h, w)`: enough for the bank to be chosen from."""
    import torch

    slices = trainer.cohort.slices
    enough = -(-_CHOICE * trainer.settings.bank // (_SIZE // _STRIDE) ** 2)
    drawn = torch.randperm(len(slices), generator=torch.Generator().manual_seed(trainer.seed))[:enough]
    return [slices[index][None].to(trainer.device) for index in drawn.tolist()]
