"""What is seldom needed of a header, read again from its file where it is: times, flip angle, kernel, thickness."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from data_prep.dicom.header import read_header
from data_prep.dicom.instance import Instance, plain
from data_prep.errors import InputError
from data_prep.formats.source import Source

_PASSES = {
    "FlipAngle": 0x00181314,
    "RepetitionTime": 0x00180080,
    "ConvolutionKernel": 0x00181210,
    "FrameReferenceTime": 0x00541300,
    "AcquisitionTime": 0x00080032,
    "SequenceName": 0x00180024,  # older Siemens scanners count b-values and directions in it
    "CorrectedImage": 0x00280051,
}  # the first in the order of `multiframe._PASSES`, where they follow acquisition and trigger time
_LENGTHS = {"SpacingBetweenSlices": 0x00180088, "SliceThickness": 0x00180050}
# b-value, gradient direction, and component of the complex image, as Siemens, GE and Philips keep them for themselves.
_PRIVATE = {
    f"{tag:08X}": tag
    for tag in (
        *(0x0019100C, 0x0019100E),
        *(0x00431039, 0x0043102F, 0x001910BB, 0x001910BC, 0x001910BD),
        *(0x20011003, 0x20011004),
    )
}
_TAGS = {**_PASSES, **_LENGTHS, **_PRIVATE}


def with_passes(instance: Instance) -> Instance:
    """The image with all values of `Instance.pass_` that its file has; frames have them already."""
    if instance.frame is not None:
        return instance
    read = _read(instance.source)
    private = "/".join(read.get(name, "") for name in _PRIVATE)
    return replace(instance, pass_=(*instance.pass_[:2], *[plain(read.get(name, "")) for name in _PASSES], private))


def thickness(instance: Instance) -> tuple[float, ...]:
    """SpacingBetweenSlices and SliceThickness, mm, as far as the file says them; hints, never geometry."""
    read = _read(instance.source)
    lengths = []
    for name in _LENGTHS:
        try:
            lengths.append(float(read[name]))
        except (KeyError, ValueError):
            continue
    return tuple(length for length in lengths if length > 0)


@lru_cache(maxsize=4096)
def _read(source: Source) -> dict[str, str]:
    """Elements as text; of a file that cannot be read any more, none."""
    try:
        header = read_header(source, list(_TAGS.values()))
    except InputError:
        return {}
    elements = header.elements if header is not None else {}
    values = {name: elements[tag].value for name, tag in _TAGS.items() if tag in elements}
    return {name: value.decode("latin-1").strip(" \0") for name, value in values.items() if isinstance(value, bytes)}
