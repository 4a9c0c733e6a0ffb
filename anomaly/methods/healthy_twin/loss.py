"""The generator's loss of HealthyTwin: twin, mask, composite, adversary."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F  # noqa: N812
from monai.losses import DiceLoss
from torch import Tensor, nn


class HealthyTwinLoss(nn.Module):
    r"""What the generator minimises, except for the adversarial part.

    With the planted image `y`, its healthy original `x` and the true mask `m` of what was planted:

    - twin: $\| (1 + 4 m) (G(y) - x) \|_1$, so that the twin is healthy, most of all where it was not;
    - mask: binary cross-entropy and Dice between M and m. Cross-entropy alone makes M a probability, by which voxels
      can be ranked; Dice pushes it to 0 and 1, but finds small masks among many healthy voxels;
    - composite: $\| (1 + 4 m) (\tilde x - x) \|_1$ with $\tilde x = (1 - M) y + M G(y)$;
    - area: the mean of M where nothing was planted, so that M is the smallest that makes the composite healthy.

    Args:
        twin: weight of the twin term.
        mask: weight of the mask term.
        composite: weight of the composite term.
        area: weight of the area term.
        cross_entropy: weight of the cross-entropy within the mask term, next to Dice.
    """

    def __init__(
        self,
        *,
        twin: float = 2.0,
        mask: float = 1.0,
        composite: float = 2.0,
        area: float = 0.05,
        cross_entropy: float = 1.0,
    ) -> None:
        super().__init__()
        self.cross_entropy = cross_entropy
        self.weights = {"twin": twin, "mask": mask, "composite": composite, "area": area}
        self.dice = DiceLoss(batch=True)

    def forward(self, explained: Mapping[str, Tensor], healthy: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """The weighted terms, and their sum under `generator`.

        Args:
            explained: the answer of `HealthyTwin.explain` on the planted image.
            healthy: `(B, 1, *spatial)`, the image before planting.
            mask: `(B, 1, *spatial)` in [0, 1], the truth of the planting.
        """
        focus = 1 + 4 * mask
        terms = {
            "twin": (focus * (explained["twin"] - healthy).abs()).mean(),
            "mask": self.cross_entropy * F.binary_cross_entropy_with_logits(explained["mask_logit"], mask)
            + self.dice(explained["mask"], mask),
            "composite": (focus * (explained["composite"] - healthy).abs()).mean(),
            "area": ((1 - mask) * explained["mask"]).mean(),
        }
        terms = {name: self.weights[name] * value for name, value in terms.items()}
        terms["generator"] = sum(terms.values(), start=healthy.new_zeros(()))
        return terms
