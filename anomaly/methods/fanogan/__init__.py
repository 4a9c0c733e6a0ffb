"""f-AnoGAN: AnoGAN with an encoder in place of the search."""

from anomaly.methods.fanogan.method import FastAnoGan

__all__ = ["FastAnoGan"]
