"""What every worker needs, imported once by the server that workers are forked from."""

import highdicom
import matplotlib.figure
import monai.bundle
import nibabel

import anomaly.detector
import anomaly.engines.writer
import pipelines.pictures
import pipelines.reprocess.outputs

__all__ = ["anomaly", "highdicom", "matplotlib", "monai", "nibabel", "pipelines"]
