"""HealthyTwin: the healthy twin and the mask M, learned together."""

from anomaly.methods.healthy_twin.loss import HealthyTwinLoss
from anomaly.methods.healthy_twin.method import HealthyTwin
from anomaly.methods.healthy_twin.trainer import HealthyTwinTrainer

__all__ = ["HealthyTwin", "HealthyTwinLoss", "HealthyTwinTrainer"]
