"""Metrics that MONAI, Ignite and scikit-learn lack: over all voxels of a cohort, in constant memory."""

from anomaly.metrics.bootstrap import image_auroc, image_average_precision, interval, resample_patients
from anomaly.metrics.cohort import CaseMeasures, cohort_statistics, measure_case
from anomaly.metrics.froc import Detections, detect, find_peaks, sensitivity_at
from anomaly.metrics.histogram import ScoreHistogram
from anomaly.metrics.regions import RegionOverlap, aupro
from anomaly.metrics.voxel import VoxelMetric

__all__ = [
    "CaseMeasures",
    "Detections",
    "RegionOverlap",
    "ScoreHistogram",
    "VoxelMetric",
    "aupro",
    "cohort_statistics",
    "detect",
    "find_peaks",
    "image_auroc",
    "image_average_precision",
    "interval",
    "measure_case",
    "resample_patients",
    "sensitivity_at",
]
