"""Pre-training of the MedicalNet encoder on whatever volumes there are: restoration, and segmentation by labels."""

from anomaly.methods.pretraining.network import MultiTaskNetwork
from anomaly.methods.pretraining.trainer import PretrainingTrainer

__all__ = ["MultiTaskNetwork", "PretrainingTrainer"]
