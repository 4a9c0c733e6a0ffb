"""The denoising autoencoder: what a network that removes coarse noise removes is abnormal."""

from anomaly.methods.denoising.method import DenoisingAutoencoder, coarse_noise

__all__ = ["DenoisingAutoencoder", "coarse_noise"]
