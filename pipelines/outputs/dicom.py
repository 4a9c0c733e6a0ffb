"""DICOM objects of one case: lesions as a segmentation, score and lesions as a structured report, preview."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from data_prep.volume import NO_ORIENTATION
from pipelines.outputs.concepts import COLOURS, MAKER, coded, derived_uid
from pipelines.outputs.header import SourceHeader
from pipelines.outputs.rules import OutputRules

if TYPE_CHECKING:
    from pydicom.uid import UID

    from anomaly import Examination
    from data_prep.dicom.geometry import Stack

Array = np.ndarray


@contextmanager
def _quietly() -> Iterator[None]:
    """No warnings: highdicom's hold values of headers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


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
        self.header = SourceHeader(stack)

    @cached_property
    def labels(self) -> Array:
        """The mask `(i, j, k)` as the numbers of the finding's lesions, from 1."""
        from anomaly.scoring.lesions import number_lesions

        return number_lesions(self.exam.mask, self.stack.affine, self.exam.finding.lesions)

    @cached_property
    def segments(self) -> dict[int, int]:
        """The segment of each lesion that lies on source images, by the lesion's number."""
        present = np.unique(self.labels[:, :, list(self.stack.places)])
        return {int(lesion): segment for segment, lesion in enumerate(present[present > 0], start=1)}

    @_quietly()
    def segmentation(self) -> Any | None:
        """The lesions as segments of a binary segmentation (PS3.3 A.51), its frames on the planes of the source images.

        Frames without a voxel of a segment are left out. None: no lesion lies on a source image.

        Raises:
            HeaderError: an element of the source without which it cannot be.
        """
        import highdicom as hd

        if not self.segments:
            return None
        made = hd.seg.Segmentation(
            source_images=self.header.slices,
            pixel_array=self._planes(),
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[self._segment(lesion, segment) for lesion, segment in self.segments.items()],
            series_instance_uid=self.uid("seg series"),
            series_number=self.rules.series_number,
            sop_instance_uid=self.uid("seg"),
            instance_number=1,
            manufacturer=MAKER,
            series_description="HealthyTwin anomaly mask (research)",
            content_description="Anomaly mask",
            content_label="ANOMALY",
            omit_empty_frames=True,
            manufacturer_model_name=self.exam.finding.bundle.name[:64],
            software_versions=self._versions(),
            device_serial_number=self.exam.finding.bundle.weights_sha256[:16],
        )
        self.header.refer(made)
        return made

    @_quietly()
    def report(self, segmentation: Any | None) -> Any:
        """Score, p-value and lesions as a structured report (PS3.16 TID 1500, Comprehensive 3D SR).

        Args:
            segmentation: that belongs to it; None: there is none.

        Raises:
            HeaderError: an element of the source without which it cannot be.
        """
        from pipelines.outputs.measurements import structured_report

        return structured_report(self, segmentation)

    @_quietly()
    def capture(self, picture: bytes) -> Any:
        """The preview as a colour secondary capture (PS3.3 A.8.1), for viewers that show neither of the others.

        Args:
            picture: PNG; it shows no word from a header.

        Raises:
            HeaderError: an element of the source without which it cannot be.
        """
        import highdicom as hd
        from PIL import Image

        image = hd.sc.SCImage.from_ref_dataset(
            self.header.slices[0],
            pixel_array=np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")),
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=self._orientation(),
            series_instance_uid=self.uid("sc series"),
            series_number=self.rules.series_number + 2,
            sop_instance_uid=self.uid("sc"),
            instance_number=1,
            manufacturer=MAKER,
        )
        image.SeriesDescription = "HealthyTwin preview (research)"
        image.BurnedInAnnotation, image.Laterality = "NO", None  # Type 2C: which side, if any, is not known
        if NO_ORIENTATION in self.stack.flags:
            image.PatientOrientation = None
        return image

    def uid(self, what: str) -> UID:
        """A UID of this case."""
        return derived_uid(self.key, what)

    def lesion_uid(self, lesion: int) -> UID:
        """What a lesion is known by in segmentation and report: its tracking UID."""
        return self.uid(f"tracking lesion {lesion}")

    def _segment(self, lesion: int, segment: int) -> Any:
        import highdicom as hd
        from pydicom.sr.codedict import codes

        bundle = self.exam.finding.bundle
        algorithm = hd.AlgorithmIdentificationSequence(
            name=bundle.name[:64],
            family=codes.DCM.ArtificialIntelligence,
            version=bundle.version,
            source=MAKER,
            parameters={"job": self.key[:16]},
        )
        return hd.seg.SegmentDescription(
            segment_number=segment,
            segment_label=f"Lesion {lesion}",
            segmented_property_category=coded(self.rules.segment_category),
            segmented_property_type=coded(self.rules.segment_type),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            tracking_uid=self.lesion_uid(lesion),
            tracking_id=f"lesion {lesion}",
            display_color=hd.color.CIELabColor.from_string(COLOURS[(lesion - 1) % len(COLOURS)]),
        )

    def _planes(self) -> Array:
        """`(slices, rows, columns)` with the numbers of segments, one for each source slice."""
        segment_of = np.zeros(len(self.exam.finding.lesions) + 1, np.uint16)
        for lesion, segment in self.segments.items():
            segment_of[lesion] = segment
        return np.stack([segment_of[self.labels[:, :, place]].T for place in self.stack.places])

    def _versions(self) -> list[str]:
        finding = self.exam.finding
        return [finding.versions.get("healthytwin", "unknown")[:64], finding.bundle.version[:64]]

    def _orientation(self) -> tuple[str, str]:
        """Where the rows and the columns of a picture point to (PS3.3 C.7.6.1.1.1)."""
        from pipelines.report.slices import View

        plane = View.of(self.exam.mask.shape, self.stack.affine).plane
        return {"axial": ("L", "P"), "coronal": ("L", "F"), "sagittal": ("P", "F")}[plane]
