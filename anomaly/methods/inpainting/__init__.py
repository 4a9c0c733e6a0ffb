"""Semantic inpainting: what a GAN of healthy patches would put where an image is not known, or does not fit."""

from anomaly.methods.inpainting.blend import poisson_blend
from anomaly.methods.inpainting.method import SemanticInpainting
from anomaly.methods.inpainting.weights import context_loss, context_weights

__all__ = ["SemanticInpainting", "context_loss", "context_weights", "poisson_blend"]
