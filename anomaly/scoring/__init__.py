"""From maps to one score, one p-value and a clean mask, calibrated on healthy cases."""

from anomaly.scoring.appearance import appearance
from anomaly.scoring.calibration import Calibration, calibrate
from anomaly.scoring.healthy import HealthyScores
from anomaly.scoring.lesions import find_lesions
from anomaly.scoring.score import foreground, image_score

__all__ = ["Calibration", "HealthyScores", "appearance", "calibrate", "find_lesions", "foreground", "image_score"]
