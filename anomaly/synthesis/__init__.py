"""Anomalies planted in healthy images, with their true masks."""

from anomaly.synthesis.families import FAMILIES
from anomaly.synthesis.transforms import PlantAnomalyd

__all__ = ["FAMILIES", "PlantAnomalyd"]
