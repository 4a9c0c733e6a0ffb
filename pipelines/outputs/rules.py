"""`OutputRules`: which of the outputs a site wants, and how its segments are coded."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CodedConcept(_Part):
    """A code of a coding scheme (DICOM PS3.3 section 8.8)."""

    value: str = Field(min_length=1, max_length=16)
    scheme: str = Field(min_length=1, max_length=16)
    meaning: str = Field(min_length=1, max_length=64)


class OutputRules(_Part):
    """What is written for a case beside mask, score map and finding."""

    picture: bool = Field(default=True, description="preview PNG")
    viewer: bool = Field(default=True, description="small volumes for the viewer of the batch's report")
    seg: bool = Field(default=True, description="DICOM segmentation, for DICOM sources with a mask that is not empty")
    sr: bool = Field(default=True, description="DICOM structured report (TID 1500), for DICOM sources")
    sc: bool = Field(default=False, description="the preview as a DICOM secondary capture, for DICOM sources")
    segment_category: CodedConcept = CodedConcept(
        value="49755003", scheme="SCT", meaning="Morphologically Abnormal Structure"
    )
    segment_type: CodedConcept = CodedConcept(value="52988006", scheme="SCT", meaning="Lesion")
    series_number: Annotated[int, Field(ge=1, le=2**31 - 2)] = Field(
        default=9100, description="SeriesNumber of segmentations; reports and secondary captures have the next ones"
    )
