"""What every worker needs, imported once by the server that workers are forked from."""

import highdicom
import matplotlib.figure
import monai.bundle
import nibabel

import anomaly.detector
import anomaly.engines.writer
import pipelines.report.picture
import pipelines.reprocess.archive.outputs

__all__ = ["anomaly", "highdicom", "matplotlib", "monai", "nibabel", "pipelines"]
