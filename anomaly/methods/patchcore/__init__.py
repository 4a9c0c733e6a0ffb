"""PatchCore: a bank of healthy features, and the distance to it."""

from anomaly.methods.patchcore.coreset import coreset
from anomaly.methods.patchcore.method import PatchCore

__all__ = ["PatchCore", "coreset"]
