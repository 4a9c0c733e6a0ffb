"""Models of anomalib as methods: any of its torch models, on slices."""

from anomaly.methods.anomalib_model.backbone import load_backbone
from anomaly.methods.anomalib_model.installed import require_anomalib
from anomaly.methods.anomalib_model.method import AnomalibModel

__all__ = ["AnomalibModel", "load_backbone", "require_anomalib"]
