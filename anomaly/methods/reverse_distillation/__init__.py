"""Reverse distillation: a student that can rebuild a teacher's features only of what is normal."""

from anomaly.methods.reverse_distillation.method import ReverseDistillation, cosine_distance

__all__ = ["ReverseDistillation", "cosine_distance"]
