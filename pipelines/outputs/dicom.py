"""DICOM objects of one case: mask as a segmentation, score and lesions as a structured report, preview."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.outputs.rules import CodedConcept, OutputRules

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

    from anomaly import Examination, Lesion
    from data_prep.dicom.geometry import Stack

Array = np.ndarray
MAKER, SCHEME = "HealthyTwin", "99HLTWIN"  # a private coding scheme begins with 99 (PS3.3 section 8.2)
SEGMENT = 1
IMAGING = CodedConcept(value="363679005", scheme="SCT", meaning="Imaging")
LESION = CodedConcept(value="52988006", scheme="SCT", meaning="Lesion")
VOLUME = CodedConcept(value="118565006", scheme="SCT", meaning="Volume")
SCORE = CodedConcept(value="SCORE", scheme=SCHEME, meaning="Anomaly score")
PEAK = CodedConcept(value="PEAK", scheme=SCHEME, meaning="Highest anomaly score inside")
P_VALUE = CodedConcept(value="PVALUE", scheme=SCHEME, meaning="Conformal p-value against healthy scans")
RESULT = CodedConcept(value="RESULT", scheme=SCHEME, meaning="Result at the operating point")
ABNORMAL = CodedConcept(value="ABNORMAL", scheme=SCHEME, meaning="Abnormal")
NORMAL = CodedConcept(value="NOTABNORMAL", scheme=SCHEME, meaning="Not abnormal")
MILLILITRE = CodedConcept(value="ml", scheme="UCUM", meaning="milliliter")
NO_UNIT = CodedConcept(value="1", scheme="UCUM", meaning="no units")


class DicomWriter:
    """Makes the DICOM objects of one case.

    Their UIDs follow from the job's key, hence from input, model and configuration: made again they are the same
    objects, which an archive replaces or keeps, and never doubles.

    Args:
        stack: the source's slices.
        exam: on the stack's grid.
        key: of the job.
        rules: of the site.
    """

    def __init__(self, stack: Stack, exam: Examination, *, key: str, rules: OutputRules) -> None:
        self.stack, self.exam, self.key, self.rules = stack, exam, key, rules
        self.sources = _source_images(stack)
        bundle = exam.finding.bundle
        self.equipment = {
            "manufacturer": MAKER,
            "manufacturer_model_name": bundle.name,
            "software_versions": [exam.finding.versions.get("healthytwin", "unknown"), bundle.version],
            "device_serial_number": bundle.weights_sha256[:16],
        }

    def segmentation(self) -> Any:
        """The mask as a binary segmentation (PS3.3 A.51), its frames on the planes of the source images.

        Frames without a voxel of the mask are left out.

        Raises:
            ValueError, AttributeError, ...: of highdicom, where the headers do not hold what it needs.
        """
        import highdicom as hd

        bundle = self.exam.finding.bundle
        algorithm = hd.AlgorithmIdentificationSequence(
            name=bundle.name, family=_family(), version=bundle.version, source=MAKER, parameters={"job": self.key[:16]}
        )
        segment = hd.seg.SegmentDescription(
            segment_number=SEGMENT,
            segment_label="Anomaly",
            segmented_property_category=_code(self.rules.segment_category),
            segmented_property_type=_code(self.rules.segment_type),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            tracking_uid=self._uid("tracking"),
            tracking_id=f"{bundle.name} {self.key[:16]}",
        )
        return hd.seg.Segmentation(
            source_images=self.sources,
            pixel_array=mask_frames(self.exam.mask, self.stack),
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[segment],
            series_instance_uid=self._uid("seg series"),
            series_number=self.rules.series_number,
            sop_instance_uid=self._uid("seg"),
            instance_number=1,
            series_description="HealthyTwin anomaly mask (research)",
            content_description="Anomaly mask",
            content_label="ANOMALY",
            omit_empty_frames=True,
            **self.equipment,
        )

    def report(self, segmentation: Any | None) -> Any:
        """Score, p-value and lesions as a structured report (PS3.16 TID 1500, Comprehensive 3D SR).

        Args:
            segmentation: that belongs to it; None: there is none.

        Raises:
            ValueError, AttributeError, ...: of highdicom, where the headers do not hold what it needs.
        """
        import highdicom as hd
        from pydicom.sr.codedict import codes

        evidence = [*self.sources, *([segmentation] if segmentation is not None else [])]
        observer = hd.sr.ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
                uid=self._uid("device"),
                name=MAKER,
                manufacturer_name=MAKER,
                model_name=self.exam.finding.bundle.name[:64],
                serial_number=self.exam.finding.bundle.weights_sha256[:16],
            ),
        )
        content = hd.sr.MeasurementReport(
            observation_context=hd.sr.ObservationContext(observer_device_context=observer),
            procedure_reported=_code(IMAGING),
            imaging_measurements=[self._whole(), *map(self._lesion, range(len(self.exam.finding.lesions)))],
            title=codes.DCM.ImagingMeasurementReport,
            referenced_images=self.sources,
        )
        return hd.sr.Comprehensive3DSR(
            evidence=evidence,
            content=content[0],
            series_instance_uid=self._uid("sr series"),
            series_number=self.rules.series_number + 1,
            sop_instance_uid=self._uid("sr"),
            instance_number=1,
            series_description="HealthyTwin measurements (research)",
            manufacturer=self.equipment["manufacturer"],
            is_complete=True,
            is_final=False,
            is_verified=False,
        )

    def capture(self, picture: bytes) -> Any:
        """The preview as a colour secondary capture (PS3.3 A.8.1), for viewers that show neither of the others.

        Args:
            picture: PNG; it shows no word from a header.

        Raises:
            ValueError, AttributeError, ...: of highdicom, where the headers do not hold what it needs.
        """
        import highdicom as hd
        from PIL import Image

        image = hd.sc.SCImage.from_ref_dataset(
            self.sources[0],
            pixel_array=np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")),
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=self._orientation(),
            series_instance_uid=self._uid("sc series"),
            series_number=self.rules.series_number + 2,
            sop_instance_uid=self._uid("sc"),
            instance_number=1,
            manufacturer=MAKER,
        )
        image.SeriesDescription = "HealthyTwin preview (research)"
        image.BurnedInAnnotation = "NO"
        return image

    def _orientation(self) -> tuple[str, str]:
        """Where the rows and the columns of a picture point to (PS3.3 C.7.6.1.1.1)."""
        from pipelines.report.slices import View

        plane = View.of(self.exam.mask.shape, self.stack.affine).plane
        return {"axial": ("L", "P"), "coronal": ("L", "F"), "sagittal": ("P", "F")}[plane]

    def _whole(self) -> Any:
        """The measurements of the whole image (TID 1501)."""
        import highdicom as hd

        finding = self.exam.finding
        total = sum(lesion.volume_ml for lesion in finding.lesions)
        result = hd.sr.QualitativeEvaluation(name=_code(RESULT), value=_code(ABNORMAL if finding.abnormal else NORMAL))
        measurements = [
            (SCORE, finding.score, NO_UNIT),
            (P_VALUE, finding.p_value, NO_UNIT),
            (VOLUME, total, MILLILITRE),
        ]
        return self._group("whole image", measurements, qualitative_evaluations=[result])

    def _lesion(self, index: int) -> Any:
        """The measurements of one lesion (TID 1501)."""
        lesion: Lesion = self.exam.finding.lesions[index]
        measurements = [(VOLUME, lesion.volume_ml, MILLILITRE), (PEAK, lesion.peak_score, NO_UNIT)]
        return self._group(f"lesion {index + 1}", measurements, finding_type=_code(LESION))

    def _group(self, name: str, measurements: list[tuple[CodedConcept, float, CodedConcept]], **more: Any) -> Any:
        import highdicom as hd

        bundle = self.exam.finding.bundle
        return hd.sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.sr.TrackingIdentifier(uid=self._uid(f"tracking {name}"), identifier=name),
            algorithm_id=hd.sr.AlgorithmIdentification(name=bundle.name, version=bundle.version),
            measurements=[
                hd.sr.Measurement(name=_code(what), value=round(value, 6), unit=_code(unit))
                for what, value, unit in measurements
            ],
            **more,
        )

    def _uid(self, what: str) -> UID:
        return derived_uid(self.key, what)


def derived_uid(key: str, what: str) -> UID:
    """A UID that follows from a job's key and what it is for.

    >>> derived_uid("ab", "seg") == derived_uid("ab", "seg") != derived_uid("ab", "sr")
    True
    """
    from pydicom.uid import generate_uid

    return generate_uid(entropy_srcs=["healthytwin reprocess", key, what])


def mask_frames(mask: Array, stack: Stack) -> Array:
    """A mask `(i, j, k)` as `(frames, rows, columns)` bool, one for each source image or frame, in their order."""
    planes = np.stack([mask[:, :, place].T > 0 for place in stack.places])
    if stack.instances[0].frame is None:
        return planes
    frames = np.zeros((stack.instances[0].frames, *planes.shape[1:]), dtype=bool)
    for instance, plane in zip(stack.instances, planes, strict=True):
        frames[instance.frame] = plane
    return frames


def _source_images(stack: Stack) -> list[Dataset]:
    """The headers of the source images, each file once, in the slices' order."""
    from pydicom import dcmread

    images: list[Dataset] = []
    for source in dict.fromkeys(instance.source for instance in stack.instances):
        with source.open() as stream:
            images.append(dcmread(stream, stop_before_pixels=True))
    return images


def _code(concept: CodedConcept) -> Any:
    import highdicom as hd

    return hd.sr.CodedConcept(value=concept.value, scheme_designator=concept.scheme, meaning=concept.meaning)


def _family() -> Any:
    from pydicom.sr.codedict import codes

    return codes.DCM.ArtificialIntelligence
