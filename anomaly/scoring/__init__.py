"""From maps to one score, one p-value and a clean mask, calibrated on healthy cases.

What needs SciPy or torch is imported where it is used: `reprocess` reads calibrations of archives that are done.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from anomaly.scoring.appearance import appearance
from anomaly.scoring.calibration import Calibration, calibrate
from anomaly.scoring.score import foreground, image_score

if TYPE_CHECKING:
    from anomaly.scoring.healthy import HealthyScores
    from anomaly.scoring.lesions import find_lesions

__all__ = ["Calibration", "HealthyScores", "appearance", "calibrate", "find_lesions", "foreground", "image_score"]

_HOME = {"HealthyScores": "anomaly.scoring.healthy", "find_lesions": "anomaly.scoring.lesions"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module 'anomaly.scoring' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOME[name]), name)
