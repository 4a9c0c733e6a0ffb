"""How much work goes into each method of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sizes and steps, the same data for all.

    Args:
        name: of the setting.
        window: voxels along both axes of the slices that 2-D methods train on.
        batch: slices or patches in one step.
        steps: of the methods with one loss.
        channels: of the autoencoder's encoder.
        features: of the denoising U-Net.
        patch: of the GAN, along both axes.
        latent: length of its z.
        gan_channels: of its generator.
        gan_steps: of its critic.
        encoder_steps: of f-AnoGAN's encoder.
        iterations: of a search in latent space.
        overlap: of neighbouring patches.
        bank: features that PatchCore keeps.
        epochs: of HealthyTwin.
        epoch_steps: in each of them.
    """

    name: str
    window: int
    batch: int
    steps: int
    channels: tuple[int, ...]
    features: tuple[int, ...]
    patch: int
    latent: int
    gan_channels: tuple[int, ...]
    gan_steps: int
    encoder_steps: int
    iterations: int
    overlap: float
    bank: int
    epochs: int
    epoch_steps: int


QUICK = Settings(
    name="quick",
    window=128,
    batch=16,
    steps=400,
    channels=(16, 32, 64, 64),
    features=(16, 16, 32, 64, 128, 16),
    patch=64,
    latent=128,
    gan_channels=(128, 64, 32, 16),
    gan_steps=1000,
    encoder_steps=400,
    iterations=100,
    overlap=0.0,
    bank=2000,
    epochs=3,
    epoch_steps=100,
)
"""For two CPU cores and an hour; far from what the papers of the GANs ask for."""

FULL = Settings(
    name="full",
    window=128,
    batch=16,
    steps=20_000,
    channels=(32, 64, 128, 128),
    features=(64, 64, 128, 256, 512, 64),
    patch=64,
    latent=128,
    gan_channels=(512, 256, 128, 64),
    gan_steps=100_000,
    encoder_steps=50_000,
    iterations=500,
    overlap=0.25,
    bank=10_000,
    epochs=10,
    epoch_steps=200,
)
"""Near the papers' settings; for a GPU."""
