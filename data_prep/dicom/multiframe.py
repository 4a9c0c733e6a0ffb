"""The frames of an enhanced multi-frame image (PS3.3 C.7.6.16), each as an `Instance` of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from data_prep.budget import DEFAULT_BUDGET, Budget
from data_prep.dicom.header import read_header
from data_prep.dicom.instance import Instance, plain
from data_prep.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

ENHANCED = frozenset(f"1.2.840.10008.5.1.4.1.1.{kind}" for kind in ("2.1", "4.1", "128.1"))  # CT, MR, PET Image Storage
_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_CHARACTERS = 0x00080005
_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")


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
    if header is None or _PER_FRAME not in header.elements:
        reason = f"the frames of {instance.source.name} do not say where they lie (no functional groups)"
        raise InputError(str(instance.source), "UNSUPPORTED_MULTIFRAME", reason)
    try:
        with disable_value_validation():
            elements = Dataset(header.elements)  # type: ignore[arg-type]
            shared, groups = list(_items(elements, _SHARED)), list(_items(elements, _PER_FRAME))
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
    """A frame's own functional groups come before the shared ones."""

    def find(sequence: str, keyword: str) -> str:
        for place in (group, *shared):
            for item in place.get(sequence) or ():
                if keyword in item:
                    return _text(item, keyword)
        return ""

    def decimals(sequence: str, keyword: str, count: int) -> tuple[float, ...]:
        return _decimals(find(sequence, keyword), count)

    kind = next((name for name in _FRAME_TYPES if name in group), "")
    frame_type = find(kind, "FrameType") if kind else ""
    slope = find("PixelValueTransformationSequence", "RescaleSlope")
    intercept = find("PixelValueTransformationSequence", "RescaleIntercept")
    rescale = (_number(slope, instance.rescale[0]), _number(intercept, instance.rescale[1]))
    fault = instance.fault
    if not all(map(math.isfinite, rescale)) or rescale[0] == 0:
        fault = "BAD_HEADER", f"the rescale slope or intercept of {instance.source.name} is no usable number"
    return replace(
        instance,
        frame=index,
        orientation=decimals("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        position=decimals("PlanePositionSequence", "ImagePositionPatient", 3),
        spacing=decimals("PixelMeasuresSequence", "PixelSpacing", 2),
        rescale=rescale,
        moment=(
            plain(find("MREchoSequence", "EffectiveEchoTime")),
            plain(find("FrameContentSequence", "TemporalPositionIndex")),
            plain(find("MRDiffusionSequence", "DiffusionBValue")),
            find("FrameContentSequence", "StackID"),
            *(frame_type.upper().split("\\") if frame_type else instance.image_type),
        ),
        pass_=(
            plain(find("FrameContentSequence", "FrameAcquisitionNumber")),
            plain(find("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime")),
        ),
        fault=fault,
    )


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


def _decimals(text: str, count: int) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split("\\"))
    except ValueError:
        return ()
    return values if len(values) == count and all(map(math.isfinite, values)) else ()


def _number(text: str, default: float) -> float:
    try:
        return float(text) if text else default
    except ValueError:
        return math.nan
