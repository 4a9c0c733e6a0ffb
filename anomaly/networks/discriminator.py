"""The discriminator: does every patch of every slice of a composite look healthy?"""

from __future__ import annotations

from monai.networks.nets import PatchDiscriminator
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class SliceDiscriminator(nn.Module):
    """PatchGAN [Isola 2017] with spectral norm [Miyato 2018], on slices.

    Slices are judged one by one, in 2-D, so that a series of 20 thick slices and a slab of 8 are both welcome.

    Args:
        spatial_dims: 2 or 3, of the images given to `forward`; the last axis of 3-D images is the slices.
        channels: channels of the first layer.
        inputs: channels of the image.
        num_layers: strided layers; the receptive field of a patch is 70 pixels with 3.
    """

    def __init__(self, *, spatial_dims: int = 3, channels: int = 16, num_layers: int = 3, inputs: int = 1) -> None:
        super().__init__()
        self.spatial_dims = spatial_dims
        self.patch = PatchDiscriminator(
            spatial_dims=2, channels=channels, in_channels=inputs, num_layers_d=num_layers, norm="INSTANCE"
        )
        for module in self.patch.modules():
            if isinstance(module, nn.Conv2d):
                spectral_norm(module)

    def forward(self, image: Tensor) -> Tensor:
        """Logits `(slices, 1, h, w)` of the patches of `image`, `(B, C, H, W)` or `(B, C, H, W, D)`."""
        if self.spatial_dims == 3:
            image = image.permute(0, 4, 1, 2, 3).flatten(0, 1)
        logits: Tensor = self.patch(image)[-1]  # the layers before the last are features, not logits
        return logits
