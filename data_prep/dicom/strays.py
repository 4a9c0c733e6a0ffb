"""Images that cannot be slices of a volume, each judged by itself: never by what comes first in its series."""

from __future__ import annotations

from collections.abc import Collection

from data_prep.dicom.instance import Instance
from data_prep.dicom.planes import LOCALIZER_WORDS

_GREY = ("", "MONOCHROME1", "MONOCHROME2")
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture Image Storage, and the multi-frame ones below it
_SAVED = "SCREEN SAVE"
Why = tuple[str, str]


def look(image: Instance) -> str:
    """All that a series is judged by image for image, as text; images of one look are judged alike."""
    greys = (image.samples, image.photometric, image.lookup)
    kinds = (_localizer(image), _picture(image), may_be_cut(image), "MOSAIC" in image.image_type)
    facts = (image.modality, *greys, *kinds)
    return "\\".join(map(str, facts))


def why_stray(image: Instance, modalities: Collection[str]) -> Why | None:
    """Code and sentence of an image that is no slice, whatever else its series holds."""
    name = image.source.name
    if image.modality not in modalities:
        wanted = ", ".join(sorted(modalities))
        return "OUT_OF_DOMAIN", f"{name} is of modality {code_word(image.modality)}, wanted is {wanted}"
    if image.samples != 1 or image.photometric not in _GREY or image.lookup:
        return "NOT_GREYSCALE", f"{name} holds no plain grey values ({code_word(image.photometric)})"
    if _localizer(image):
        return "LOCALIZER", f"{name} belongs to a localizer"
    return None


def why_picture(image: Instance) -> Why | None:
    """Code and sentence of a screenshot, which is a stray beside images that lie somewhere."""
    if _picture(image) and not may_be_cut(image):
        return "SINGLE_SLICE", f"{image.source.name} is a picture (secondary capture), not a slice of a volume"
    return None


def code_word(value: str) -> str:
    """A header's code word; what is not one is not shown, as it may be anything."""
    return value if value.replace("_", "").isalnum() and len(value) <= 16 else "unknown"


def may_be_cut(image: Instance) -> bool:
    """May this be a slice whose file breaks off? Beside sound slices it is never set aside."""
    return image.fault is not None and image.fault[0] == "TRUNCATED"


def _localizer(image: Instance) -> bool:
    return bool(LOCALIZER_WORDS.intersection(image.image_type))


def _picture(image: Instance) -> bool:
    """A secondary capture that does not say where it lies."""
    captured = image.sop_class.startswith(_CAPTURE) or _SAVED in image.image_type
    return captured and not image.grouped and not (image.position and image.orientation)
