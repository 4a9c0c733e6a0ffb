"""The HealthyTwin method: image in, mask M out, with the twin and the composite to explain it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anomaly.networks.medicalnet import flattened, load_medicalnet
from anomaly.networks.twin_generator import TwinGenerator

_EVIDENCE = ("generator.distance.", "generator.evidence.")


class HealthyTwin(nn.Module):
    """Estimate the abnormal part M of an image and its healthy twin.

    `forward` answers what every method of this project answers, a score map; here it is M itself, an output of
    the network and not a subtraction. The composite `x~ = (1 - M) * y + M * G(y)` is what the discriminator
    must take for healthy while M stays small.

    Args:
        spatial_dims: 2 or 3.
        depth: layers of the MedicalNet encoder.
        decoder_channels: see `TwinGenerator`.
        slice_stride: see `medicalnet_encoder`.
        encoder_weights: a MedicalNet checkpoint, or `hub:owner/repository/file`; None starts from scratch.
        weights: a state dict of the whole network to go on from; None: nothing but what `encoder_weights` gives. A
            network of two dimensions takes one of three: its kernels are summed along the slices, as in `flattened`.
        evidence: see `TwinGenerator`. The frozen encoder is the one that training begins with, from
            `encoder_weights` or `weights`.
        dilated: see `medicalnet_encoder`.
        channels: of the image, such as the sequences of one visit; one that is missing is 0 throughout.
        passes: refinement passes of `forward`: the second looks at the composite of the first, and so on.
    """

    def __init__(
        self,
        *,
        spatial_dims: int = 3,
        depth: int = 10,
        decoder_channels: Sequence[int] = (96, 64, 48, 32, 16),
        slice_stride: int = 1,
        encoder_weights: str | None = None,
        weights: str | None = None,
        evidence: bool = False,
        dilated: bool = False,
        passes: int = 1,
        channels: int = 1,
    ) -> None:
        super().__init__()
        if passes < 1:
            msg = f"passes must be at least 1, got {passes}"
            raise ValueError(msg)
        self.passes = passes
        self.generator = TwinGenerator(
            spatial_dims=spatial_dims,
            depth=depth,
            decoder_channels=decoder_channels,
            slice_stride=slice_stride,
            evidence=evidence,
            dilated=dilated,
            channels=channels,
        )
        if encoder_weights:
            load_medicalnet(self.generator.encoder, encoder_weights)
        if weights:
            self._go_on_from(weights)
        elif self.generator.distance is not None:
            self.generator.distance.copy_from(self.generator.encoder)

    def _go_on_from(self, path: str) -> None:
        """Load a state dict; one of a network without evidence gives its encoder to the frozen one."""
        state = flattened(torch.load(path, map_location="cpu", weights_only=True), self.state_dict())
        missing, unexpected = self.load_state_dict(state, strict=False)
        foreign = [name for name in missing if not name.startswith(_EVIDENCE)]
        if foreign or unexpected:
            msg = f"{path}: not the weights of this network; missing {foreign[:3]}, unexpected {unexpected[:3]}"
            raise ValueError(msg)
        if missing and self.generator.distance is not None:
            self.generator.distance.copy_from(self.generator.encoder)

    def forward(self, image: Tensor) -> Tensor:
        """The score map M in [0, 1], `(B, 1, *spatial)`, of `image`, `(B, 1, *spatial)` in [0, 1]."""
        mask, _, _ = self._refine(image)
        return mask

    def explain(self, image: Tensor) -> dict[str, Tensor]:
        """All that the network has to say of `image`, `(B, 1, *spatial)` in [0, 1], in one pass.

        Returns:
            `mask` M, `mask_logit`, `residual` R, `twin` G(y) and `composite` x~, each `(B, 1, *spatial)`.
        """
        residual, logit = self.generator(image)
        mask = torch.sigmoid(logit.float())
        twin = torch.clamp(image + residual, 0, 1)
        composite = image + mask * (twin - image)
        return {"mask": mask, "mask_logit": logit, "residual": residual, "twin": twin, "composite": composite}

    def examine(self, image: Tensor) -> dict[str, Tensor]:
        """What `forward` answers, as `score`, with the images that explain it: `twin` and `composite`.

        After several passes the twin is that of the last one, and the composite what is left of the image.
        """
        mask, twin, composite = self._refine(image)
        return {"score": mask, "twin": twin, "composite": composite}

    def _refine(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """M, twin and composite after all passes: `y_k = y_(k-1) + M_k R_k` and `M = 1 - prod(1 - M_k)`."""
        kept = torch.ones_like(image[:, :1])
        composite, twin = image, image
        for _ in range(self.passes):
            residual, logit = self.generator(composite)
            mask = torch.sigmoid(logit.float())  # reduced precision has 256 steps between 0.5 and 1
            twin = torch.clamp(composite + residual, 0, 1)
            composite = composite + mask * (twin - composite)
            kept = kept * (1 - mask)
        return 1 - kept, twin, composite
