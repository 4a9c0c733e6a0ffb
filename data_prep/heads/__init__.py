"""Healthy heads of any contrast, made from label maps."""

from data_prep.heads.cohort import HeadOrder, write_scans
from data_prep.heads.contrast import CONTRASTS, Contrast, draw_contrast
from data_prep.heads.head import SynthesisedHead, synthesise
from data_prep.heads.head_map import HeadMap, head_of, read_head
from data_prep.heads.recipe import Recipe, Stripping, draw_recipe
from data_prep.heads.tissues import LABELS, TISSUES, to_tissues

__all__ = [
    "CONTRASTS",
    "LABELS",
    "TISSUES",
    "Contrast",
    "HeadMap",
    "HeadOrder",
    "Recipe",
    "Stripping",
    "SynthesisedHead",
    "draw_contrast",
    "draw_recipe",
    "head_of",
    "read_head",
    "synthesise",
    "to_tissues",
    "write_scans",
]
