"""`Instance`: what the header of one DICOM image says of its place in a volume and of its pixels."""

from __future__ import annotations

import marshal
import math
from dataclasses import dataclass, field, fields
from functools import lru_cache
from operator import attrgetter

from data_prep.dicom.header import UNDEFINED_LENGTH
from data_prep.formats.source import Source

# What all slices of one volume share, where they say it; in the order in which a series is split by it.
MOMENT = (
    "complex component",
    "echo number",
    "echo time",
    "inversion time",
    "time point",
    "b-value",
    "gradient direction",
    "tube voltage",
    "unit",
)


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM image, or one frame of one, without its pixels. Geometry that is absent or unreadable is `()`.

    Args:
        source: its file.
        frame: index within a multi-frame file, from 0; None: the file is one image.
        frames: NumberOfFrames of the file.
        series_uid: SeriesInstanceUID.
        study_uid: StudyInstanceUID.
        sop_uid: SOPInstanceUID.
        sop_class: SOPClassUID.
        patient: a hash of PatientID, or of PatientName without one; compared, never shown.
        patient_name: a hash of the letters of PatientName; "" without one.
        modality: such as MR.
        image_type: ImageType's values.
        shape: (Rows, Columns).
        orientation: ImageOrientationPatient, six cosines, LPS.
        position: ImagePositionPatient, mm, LPS.
        spacing: PixelSpacing (between rows, between columns), mm.
        reference_frame: FrameOfReferenceUID.
        samples: SamplesPerPixel.
        photometric: PhotometricInterpretation.
        bits: (BitsAllocated, BitsStored, PixelRepresentation).
        rescale: (RescaleSlope, RescaleIntercept); (1, 0) where absent.
        lookup: grey values go through a modality look-up table.
        moment: the values of `MOMENT` that all slices of a volume share; "" where the header does not say.
        pass_: acquisition, trigger time and, of frames and after `with_passes`, more times, flip angle, kernel and
            the like: what may tell volumes apart where `moment` does not.
        padding: lowest and highest stored value that is no measurement (PS3.3 C.7.5.1.1.2), or `()`.
        grouped: the file has functional groups, so that each frame says where it lies.
        stack_id: StackID of a frame.
        in_stack: InStackPositionNumber of a frame, from 1; 0 where it is not said.
        concatenation: (ConcatenationUID, number of this part from 1, number of parts or 0, offset of its first frame).
        posture: PatientPosition.
        swapped: the two bytes of each 16-bit word hold two pixels in exchanged order (big-endian OW of 8 bits).
        syntax: TransferSyntaxUID.
        pixels: (tag, offset, length) of the pixel data in the (inflated) file, as in `Header`.
        fault: code and sentence of what makes this image unusable; None: nothing known.
        sequence: of `sequence_words`; copies of an image may differ in it.
        thickness: SliceThickness, mm; 0 where absent; copies may differ in it.
    """

    source: Source
    frame: int | None
    frames: int
    series_uid: str
    study_uid: str
    sop_uid: str
    sop_class: str
    patient: str
    patient_name: str
    modality: str
    image_type: tuple[str, ...]
    shape: tuple[int, int]
    orientation: tuple[float, ...]
    position: tuple[float, ...]
    spacing: tuple[float, ...]
    reference_frame: str
    samples: int
    photometric: str
    bits: tuple[int, int, int]
    rescale: tuple[float, float]
    lookup: bool
    moment: tuple[str, ...]
    pass_: tuple[str, ...]
    padding: tuple[int, ...]
    grouped: bool
    stack_id: str
    in_stack: int
    concatenation: tuple[str, int, int, int]
    posture: str
    swapped: bool
    syntax: str
    pixels: tuple[int, int, int]
    fault: tuple[str, str] | None = None
    sequence: str = field(default="", compare=False)
    thickness: float = field(default=0.0, compare=False)

    def pack(self) -> bytes:
        """All but the source, for the index."""
        return marshal.dumps(_PACKED(self))

    @classmethod
    def unpack(cls, packed: bytes, source: Source) -> Instance:
        """The instance of `pack`."""
        return cls(source, *marshal.loads(packed))

    @property
    def encapsulated(self) -> bool:
        """Are the pixels compressed?"""
        return self.pixels[2] == UNDEFINED_LENGTH

    @property
    def inverted(self) -> bool:
        """Are its grey values turned round when they are read (see `read_pixels`)?"""
        return self.photometric == "MONOCHROME1" and self.modality not in ("CT", "PT")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame, decoded."""
        return self.shape[0] * self.shape[1] * self.samples * self.bits[0] // 8


_PACKED = attrgetter(*[field.name for field in fields(Instance)][1:])


@dataclass(frozen=True, slots=True)
class NoImage:
    """A DICOM object that is not an image: a report, a presentation state, a segmentation's references.

    Args:
        source: its file.
        series_uid: SeriesInstanceUID, "" where there is none.
        modality: such as SR.
        study_uid: StudyInstanceUID, "" where there is none.
    """

    source: Source
    series_uid: str
    modality: str
    study_uid: str


def plain(text: str) -> str:
    """One spelling for one number: `2.460` and `2.46` are one echo time."""
    if not text:
        return ""
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text


@lru_cache(maxsize=512)  # most of what the files of a series say is the same
def decimals(text: str, count: int) -> tuple[float, ...]:
    r"""A decimal string's `count` finite numbers, or nothing.

    >>> decimals("0.5\\2", 2), decimals("0.5", 2), decimals("nan\\1", 2)
    ((0.5, 2.0), (), ())
    """
    try:
        values = tuple(float(part) for part in text.split("\\"))
    except ValueError:
        return ()
    return values if len(values) == count and all(map(math.isfinite, values)) else ()
