"""Metrics that MONAI, Ignite and scikit-learn lack: over all voxels of a cohort, in constant memory."""

from anomaly.metrics.histogram import ScoreHistogram
from anomaly.metrics.voxel import VoxelMetric

__all__ = ["ScoreHistogram", "VoxelMetric"]
