"""The demo cohort: heads that a program makes from an anatomical template, healthy or with a planted lesion."""

from data_prep.demo.cohort import make_cohort
from data_prep.demo.dicom import write_series
from data_prep.demo.grid import AXIAL_THICK, SAGITTAL_FINE, TINY, Grid
from data_prep.demo.render import Scan, render
from data_prep.demo.subject import Lesion, Subject, draw_lesion, draw_subject

__all__ = [
    "AXIAL_THICK",
    "SAGITTAL_FINE",
    "TINY",
    "Grid",
    "Lesion",
    "Scan",
    "Subject",
    "draw_lesion",
    "draw_subject",
    "make_cohort",
    "render",
    "write_series",
]
