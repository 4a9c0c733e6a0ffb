"""The brightness of a voxel as its score: what every learned method has to beat."""

from anomaly.methods.intensity.method import IntensityThreshold

__all__ = ["IntensityThreshold"]
