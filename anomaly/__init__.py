"""HealthyTwin's science: tensors in, tensors out.

`load_detector(bundle)(volume)` gives a `Finding`. Imports are lazy: `import anomaly` loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anomaly.bundle import BundleError, bundle_root, export_weights
    from anomaly.detector import Detector, Examination, load_detector
    from anomaly.engines.distributed import process_device, process_rank
    from anomaly.finding import Finding, Lesion
    from anomaly.method import Method
    from anomaly.transforms import AnomalyMapd
    from anomaly.volume import VolumeError

__all__ = [
    "AnomalyMapd",
    "BundleError",
    "Detector",
    "Examination",
    "Finding",
    "Lesion",
    "Method",
    "VolumeError",
    "bundle_root",
    "export_weights",
    "load_detector",
    "process_device",
    "process_rank",
]

_HOME = {
    "BundleError": "anomaly.bundle",
    "bundle_root": "anomaly.bundle",
    "export_weights": "anomaly.bundle",
    "Detector": "anomaly.detector",
    "Examination": "anomaly.detector",
    "load_detector": "anomaly.detector",
    "process_device": "anomaly.engines.distributed",
    "process_rank": "anomaly.engines.distributed",
    "Finding": "anomaly.finding",
    "Lesion": "anomaly.finding",
    "Method": "anomaly.method",
    "AnomalyMapd": "anomaly.transforms",
    "VolumeError": "anomaly.volume",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module 'anomaly' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOME[name]), name)
