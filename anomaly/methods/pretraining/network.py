"""One encoder and one decoder under several tasks."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from anomaly.networks.twin_generator import TwinGenerator


class MultiTaskNetwork(nn.Module):
    """MedicalNet's ResNet under the tasks of its pre-training.

    Med3D [Chen, Ma & Zheng 2019, arXiv 1904.00625] trains one encoder on the segmentation of many data sets, each
    with a branch of its own. So do we where labels are; where there are none the volumes teach by themselves: what
    was damaged is restored [Zhou 2019, Models Genesis, arXiv 1908.06912], and the damage is found. Only the encoder
    is kept.

    Args:
        depth: layers of the encoder.
        classes: data set to number of its labels, background included; data sets without labels are left out.
        slice_stride: see `medicalnet_encoder`.
    """

    def __init__(self, *, depth: int = 10, classes: Mapping[str, int] | None = None, slice_stride: int = 1) -> None:
        super().__init__()
        channels = (96, 64, 48, 32, 16)
        self.generator = TwinGenerator(depth=depth, decoder_channels=channels, slice_stride=slice_stride)
        self.branches = nn.ModuleDict(
            {name: nn.Conv3d(channels[-1], count, kernel_size=1) for name, count in (classes or {}).items()}
        )

    @property
    def encoder(self) -> nn.Module:
        """What is kept."""
        return self.generator.encoder

    def forward(self, image: Tensor, source: str = "") -> dict[str, Tensor]:
        """Run every task that the data set has.

        Args:
            image: damaged, `(B, 1, i, j, k)` in [0, 1].
            source: the data set that all of the batch comes from.

        Returns:
            `restored` `(B, 1, i, j, k)`, `damage_logit` of the same shape, and `segmentation` `(B, classes, i, j, k)`
            where the data set has labels.
        """
        residual, logit, features = self.generator.decode(image)
        answer = {"restored": image + residual, "damage_logit": logit}
        if source in self.branches:
            answer["segmentation"] = self.branches[source](features)
        return answer
