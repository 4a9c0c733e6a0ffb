"""Codes and colours of the DICOM objects, and UIDs that follow from a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.outputs.rules import CodedConcept

if TYPE_CHECKING:
    from pydicom.uid import UID

MAKER, SCHEME = "HealthyTwin", "99HLTWIN"  # a private coding scheme begins with 99 (PS3.3 section 8.2)
IMAGING = CodedConcept(value="363679005", scheme="SCT", meaning="Imaging")
LESION = CodedConcept(value="52988006", scheme="SCT", meaning="Lesion")
VOLUME = CodedConcept(value="118565006", scheme="SCT", meaning="Volume")
AREA = CodedConcept(value="42798000", scheme="SCT", meaning="Area")
DIAMETER = CodedConcept(value="81827009", scheme="SCT", meaning="Diameter")
MAXIMUM = CodedConcept(value="56851009", scheme="SCT", meaning="Maximum")
CENTRE = CodedConcept(value="111010", scheme="DCM", meaning="Center")
SCORE = CodedConcept(value="SCORE", scheme=SCHEME, meaning="Anomaly score")
PEAK = CodedConcept(value="PEAK", scheme=SCHEME, meaning="Highest anomaly score inside")
P_VALUE = CodedConcept(value="PVALUE", scheme=SCHEME, meaning="Conformal p-value against healthy scans")
RESULT = CodedConcept(value="RESULT", scheme=SCHEME, meaning="Result at the operating point")
ABNORMAL = CodedConcept(value="ABNORMAL", scheme=SCHEME, meaning="Abnormal")
NORMAL = CodedConcept(value="NOTABNORMAL", scheme=SCHEME, meaning="Not abnormal")
MILLILITRE = CodedConcept(value="ml", scheme="UCUM", meaning="milliliter")
SQUARE_MILLIMETRE = CodedConcept(value="mm2", scheme="UCUM", meaning="square millimeter")
MILLIMETRE = CodedConcept(value="mm", scheme="UCUM", meaning="millimeter")
NO_UNIT = CodedConcept(value="1", scheme="UCUM", meaning="no units")

# Wong 2011 (Nature Methods 8, 441), told apart by colour-blind eyes; the first is the one that a report outlines in.
COLOURS = ("#ffb000", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")


def coded(concept: CodedConcept) -> Any:
    """A code as highdicom takes it."""
    import highdicom as hd

    return hd.sr.CodedConcept(value=concept.value, scheme_designator=concept.scheme, meaning=concept.meaning)


def derived_uid(key: str, what: str) -> UID:
    """A UID that follows from a job's key and what it is for.

    >>> derived_uid("ab", "seg") == derived_uid("ab", "seg") != derived_uid("ab", "sr")
    True
    """
    from pydicom.uid import generate_uid

    return generate_uid(entropy_srcs=["healthytwin reprocess", key, what])
