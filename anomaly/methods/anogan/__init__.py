"""AnoGAN: a GAN of healthy patches, whose latent space is searched for each image."""

from anomaly.methods.anogan.loss import AdversarialGame, gradient_penalty
from anomaly.methods.anogan.method import AnoGan, patchwise
from anomaly.methods.anogan.trainer import LatentGanTrainer

__all__ = ["AdversarialGame", "AnoGan", "LatentGanTrainer", "gradient_penalty", "patchwise"]
