"""The frames of an enhanced multi-frame image (PS3.3 C.7.6.16), each as an `Instance` of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from data_prep.budget import DEFAULT_BUDGET, Budget
from data_prep.dicom.component import component
from data_prep.dicom.header import read_header
from data_prep.dicom.instance import Instance, decimals, plain
from data_prep.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_CHARACTERS = 0x00080005
_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
_CONVERTED = "UnassignedPerFrameConvertedAttributesSequence"  # of legacy converted images (PS3.3 C.7.6.16.2.25)
_FRAME = "FrameContentSequence"
# Each value of `Instance.moment` but the first: in a functional group, and in what a legacy image was converted from.
_MOMENT = (
    ("", "", "EchoNumbers"),
    ("MREchoSequence", "EffectiveEchoTime", "EchoTime"),
    ("MRModifierSequence", "InversionTimes", "InversionTime"),
    (_FRAME, "TemporalPositionIndex", "TemporalPositionIdentifier"),
    ("MRDiffusionSequence", "DiffusionBValue", "DiffusionBValue"),
    ("MRDiffusionSequence.DiffusionGradientDirectionSequence", "DiffusionGradientOrientation", ""),
    ("CTXRayDetailsSequence", "KVP", "KVP"),
    ("", "", "Units"),
)
# Each value of `Instance.pass_`, in the order of the first of `details._PASSES`, and what only frames have.
_PASSES = (
    (_FRAME, "FrameAcquisitionNumber", "AcquisitionNumber"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", "TriggerTime"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle", "FlipAngle"),
    ("MRTimingAndRelatedParametersSequence", "RepetitionTime", "RepetitionTime"),
    ("CTReconstructionSequence", "ConvolutionKernel", "ConvolutionKernel"),
    (_FRAME, "FrameReferenceDateTime", "FrameReferenceTime"),
    (_FRAME, "FrameAcquisitionDateTime", "AcquisitionTime"),
    ("TemporalPositionSequence", "TemporalPositionTimeOffset", ""),
)
Find = Callable[[str, str], str]


def read_frames(instance: Instance, *, budget: Budget = DEFAULT_BUDGET) -> list[Instance]:
    """One `Instance` for each frame of a file.

    Args:
        instance: the file, as `read_instance` gave it.
        budget: limits; more frames than it allows were refused before.

    Raises:
        InputError: UNSUPPORTED_MULTIFRAME without functional groups, TRUNCATED, or those of `read_header`.
    """
    from pydicom import Dataset
    from pydicom.config import disable_value_validation

    header = read_header(instance.source, [_CHARACTERS, _SHARED, _PER_FRAME], budget=budget)
    if header is None or (_PER_FRAME not in header.elements and instance.frames > 1):
        reason = f"the frames of {instance.source.name} do not say where they lie (no functional groups)"
        raise InputError(str(instance.source), "UNSUPPORTED_MULTIFRAME", reason)
    try:
        with disable_value_validation():
            elements = Dataset(header.elements)  # type: ignore[arg-type]
            shared, groups = list(_items(elements, _SHARED)), list(_items(elements, _PER_FRAME))
            groups = groups or [Dataset()]
            frames = [_frame(instance, index, group, shared) for index, group in enumerate(groups)]
    except Exception as error:  # a damaged file makes pydicom raise almost anything
        reason = f"the frame descriptions of {instance.source.name} are damaged ({type(error).__name__})"
        raise InputError(str(instance.source), "TRUNCATED", reason) from error
    if len(frames) != instance.frames:
        reason = f"{instance.source.name} has {instance.frames} frames but describes {len(frames)}"
        raise InputError(str(instance.source), "TRUNCATED", reason)
    return frames


def _items(elements: Dataset, tag: int) -> Iterable[Dataset]:
    return elements[tag].value if tag in elements else ()


def _frame(instance: Instance, index: int, group: Dataset, shared: Sequence[Dataset]) -> Instance:
    """A frame's own functional groups come before the shared ones, and these before the file's own elements."""

    def find(path: str, keyword: str) -> str:
        for place in (group, *shared):
            for item in _walk(place, path.split(".")):
                if keyword in item:
                    return _text(item, keyword)
        return ""

    def found_or_own(sequence: str, keyword: str, count: int) -> tuple[float, ...]:
        return decimals(find(sequence, keyword), count) or getattr(instance, _PLAIN[keyword])

    frame_type = next((found for name in _FRAME_TYPES if (found := find(name, "FrameType"))), "")
    slope = find("PixelValueTransformationSequence", "RescaleSlope")
    intercept = find("PixelValueTransformationSequence", "RescaleIntercept")
    rescale = (_number(slope, instance.rescale[0]), _number(intercept, instance.rescale[1]))
    fault = instance.fault
    if not all(map(math.isfinite, rescale)) or rescale[0] == 0:
        fault = "BAD_HEADER", f"the rescale slope or intercept of {instance.source.name} is no usable number"
    return replace(
        instance,
        frame=index,
        image_type=tuple(frame_type.upper().split("\\")) if frame_type else instance.image_type,
        orientation=found_or_own("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        position=found_or_own("PlanePositionSequence", "ImagePositionPatient", 3),
        spacing=found_or_own("PixelMeasuresSequence", "PixelSpacing", 2),
        rescale=rescale,
        moment=(_component(instance, find), *_values(instance.moment[1:], _MOMENT, find)),
        pass_=_passes(instance, find),
        stack_id=find(_FRAME, "StackID"),
        in_stack=int(number) if (number := find(_FRAME, "InStackPositionNumber")).isdecimal() else 0,
        fault=fault,
    )


_PLAIN = {"ImageOrientationPatient": "orientation", "ImagePositionPatient": "position", "PixelSpacing": "spacing"}


def _walk(place: Dataset, path: Sequence[str]) -> Iterable[Dataset]:
    """The items of a sequence, or of a sequence within one; the item itself where the path is empty."""
    items: list[Dataset] = [place]
    for name in path:
        items = [inner for item in items for inner in item.get(name) or ()] if name else []
    return items


def _component(instance: Instance, find: Find) -> str:
    """Of the frame; where it does not say, of the file, whose MIXED then means that nothing tells them apart."""
    if instance.modality != "MR":
        return ""
    for name in _FRAME_TYPES:
        if stated := find(name, "ComplexImageComponent"):
            return component(stated, ())
    return instance.moment[0]


def _values(own: Sequence[str], places: Sequence[tuple[str, str, str]], find: Find) -> tuple[str, ...]:
    """What a frame's groups say at each of several places, or else its file."""
    found = []
    for value, (sequence, keyword, converted) in zip(own, places, strict=True):
        said = find(sequence, keyword) if sequence else ""
        said = said or (find(_CONVERTED, converted) if converted else "")
        found.append("/".join(map(plain, said.split("\\"))) if said else value)
    return tuple(found)


def _passes(instance: Instance, find: Find) -> tuple[str, ...]:
    """Also, last, the frame's own file, and each of its DimensionIndexValues (PS3.3 C.7.6.17)."""
    own = (*instance.pass_, *[""] * (len(_PASSES) - len(instance.pass_)))
    file = instance.concatenation[0] or instance.sop_uid
    return *_values(own, _PASSES, find), file, *find(_FRAME, "DimensionIndexValues").split("\\")


def _text(item: Dataset, keyword: str) -> str:
    """An element's value as `a\\b\\c`; numbers that pydicom would reject are kept as they are stored."""
    raw: Any = item.get_item(keyword)
    value = raw.value
    if isinstance(value, bytes) and getattr(raw, "VR", None) in (None, "FD", "US", "UL", "FL", "SS", "SL"):
        value = item[keyword].value
    if isinstance(value, bytes):
        return value.decode("latin-1").strip(" \0")
    if isinstance(value, str) or not isinstance(value, Iterable):
        return str("" if value is None else value).strip()
    return "\\".join(map(str, value))


def _number(text: str, default: float) -> float:
    try:
        return float(text) if text else default
    except ValueError:
        return math.nan
