"""The structured report of a case (PS3.16 TID 1500): a group for the whole image and one for each lesion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from data_prep.volume import NO_ORIENTATION, NO_SIZE
from pipelines.outputs.concepts import (
    ABNORMAL,
    AREA,
    CENTRE,
    DIAMETER,
    IMAGING,
    LESION,
    MAKER,
    MAXIMUM,
    MILLILITRE,
    MILLIMETRE,
    NO_UNIT,
    NORMAL,
    P_VALUE,
    PEAK,
    RESULT,
    SCORE,
    SQUARE_MILLIMETRE,
    VOLUME,
    coded,
)
from pipelines.outputs.rules import CodedConcept

if TYPE_CHECKING:
    from pydicom.uid import UID

    from anomaly import Examination
    from data_prep.dicom.geometry import Stack
    from pipelines.outputs.header import SourceHeader
    from pipelines.outputs.rules import OutputRules

_LPS = np.array([-1.0, -1.0, 1.0])  # times RAS


class Measured(Protocol):
    """What is reported of a case; `DicomWriter` is one."""

    stack: Stack
    exam: Examination
    rules: OutputRules
    header: SourceHeader

    @property
    def labels(self) -> np.ndarray:
        """The mask `(i, j, k)` as the numbers of the finding's lesions, from 1."""

    @property
    def segments(self) -> dict[int, int]:
        """The segment of each lesion that has one, by the lesion's number."""

    def uid(self, what: str) -> UID:
        """A UID of this case."""

    def lesion_uid(self, lesion: int) -> UID:
        """The tracking UID of a lesion."""


def structured_report(writer: Measured, segmentation: Any | None) -> Any:
    """The report of a case as Comprehensive 3D SR.

    Args:
        writer: of the case.
        segmentation: its segments, which the lesions' groups refer to; None: there is none.
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes

    files, bundle = writer.header.files, writer.exam.finding.bundle
    observer = hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=writer.uid("device"),
            name=MAKER,
            manufacturer_name=MAKER,
            model_name=bundle.name[:64],
            serial_number=bundle.weights_sha256[:16],
        ),
    )
    groups = [_lesion(writer, number, segmentation) for number in range(1, len(writer.exam.finding.lesions) + 1)]
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=coded(IMAGING),
        imaging_measurements=[_whole(writer), *groups],
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=files if _is_known(files[0].SOPClassUID) else None,
    )
    return hd.sr.Comprehensive3DSR(
        evidence=[*files, *([segmentation] if segmentation is not None else [])],
        content=content[0],
        series_instance_uid=writer.uid("sr series"),
        series_number=writer.rules.series_number + 1,
        sop_instance_uid=writer.uid("sr"),
        instance_number=1,
        series_description="HealthyTwin measurements (research)",
        manufacturer=MAKER,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )


def _whole(writer: Measured) -> Any:
    """The measurements of the whole image (TID 1501)."""
    import highdicom as hd

    finding = writer.exam.finding
    total = sum(lesion.volume_ml for lesion in finding.lesions)
    result = hd.sr.QualitativeEvaluation(name=coded(RESULT), value=coded(ABNORMAL if finding.abnormal else NORMAL))
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=writer.uid("tracking whole image"), identifier="whole image"),
        algorithm_id=_algorithm(writer),
        measurements=[
            _measured(SCORE, finding.score, NO_UNIT),
            _measured(P_VALUE, finding.p_value, NO_UNIT),
            *_size(writer, total),
        ],
        qualitative_evaluations=[result],
    )


def _lesion(writer: Measured, number: int, segmentation: Any | None) -> Any:
    """The measurements of a lesion: of its segment (TID 1411), or without one (TID 1501)."""
    import highdicom as hd

    lesion = writer.exam.finding.lesions[number - 1]
    content: dict[str, Any] = {
        "tracking_identifier": hd.sr.TrackingIdentifier(uid=writer.lesion_uid(number), identifier=f"lesion {number}"),
        "algorithm_id": _algorithm(writer),
        "finding_type": coded(LESION),
        "measurements": [
            *_size(writer, lesion.volume_ml),
            *_diameter(writer, number),
            _measured(PEAK, lesion.peak_score, NO_UNIT),
        ],
    }
    if segmentation is not None and number in writer.segments:
        segment = hd.sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=writer.segments[number],
            source_series=hd.sr.SourceSeriesForSegmentation(writer.header.files[0].SeriesInstanceUID),
        )
        group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **content)
    else:
        group = hd.sr.MeasurementsAndQualitativeEvaluations(**content)
    if NO_ORIENTATION in writer.stack.flags:  # it lies nowhere in the patient
        return group
    centre = hd.sr.Scoord3DContentItem(
        name=coded(CENTRE),
        graphic_type=hd.sr.GraphicTypeValues3D.POINT,
        graphic_data=np.array([lesion.centroid_mm]) * _LPS,
        frame_of_reference_uid=writer.header.reference_frame,
        relationship_type=hd.sr.RelationshipTypeValues.CONTAINS,
    )
    group[0].ContentSequence.append(centre)
    return group


def _size(writer: Measured, volume_ml: float) -> list[Any]:
    """A volume; of a picture the area, where its pixel size is known."""
    if writer.stack.shape[2] > 1:
        return [_measured(VOLUME, volume_ml, MILLILITRE)]
    return [] if NO_SIZE in writer.stack.flags else [_measured(AREA, 1000 * volume_ml, SQUARE_MILLIMETRE)]


def _diameter(writer: Measured, number: int) -> list[Any]:
    """The largest one of a lesion; nothing in a picture whose pixel size is not known."""
    from anomaly.scoring.lesions import largest_diameter

    if NO_SIZE in writer.stack.flags:
        return []
    known, flat = writer.exam.finding.lesions[number - 1].diameter_mm, writer.stack.shape[2] == 1
    diameter = known or largest_diameter(writer.labels == number, writer.stack.affine, flat=flat)
    return [_measured(DIAMETER, diameter, MILLIMETRE, derivation=coded(MAXIMUM))]


def _measured(what: CodedConcept, value: float, unit: CodedConcept, **more: Any) -> Any:
    import highdicom as hd

    return hd.sr.Measurement(name=coded(what), value=round(value, 6), unit=coded(unit), **more)


def _algorithm(writer: Measured) -> Any:
    import highdicom as hd

    bundle = writer.exam.finding.bundle
    return hd.sr.AlgorithmIdentification(name=bundle.name[:64], version=bundle.version)


def _is_known(kind: str) -> bool:
    """Is this a class of images that the standard knows? Of others no library of images can be made (TID 1600)."""
    from highdicom._standard_utils import does_iod_have_pixel_data, get_sop_class_iod_map

    return kind in get_sop_class_iod_map() and does_iod_have_pixel_data(kind)
