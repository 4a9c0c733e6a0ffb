"""What every worker needs, imported once by the server that workers are forked from."""

from data_prep.child import stay_out_of_working_directory

stay_out_of_working_directory()

# ruff: noqa: E402  what is imported from here on must come from nowhere else
import highdicom
import matplotlib.figure
import monai.bundle
import nibabel

import anomaly.detector
import anomaly.engines.writer
import pipelines.report.picture
import pipelines.reprocess.archive.outputs

__all__ = ["anomaly", "highdicom", "matplotlib", "monai", "nibabel", "pipelines"]
