"""The autoencoder: what does not pass the bottleneck is abnormal."""

from anomaly.methods.autoencoder.method import Autoencoder

__all__ = ["Autoencoder"]
