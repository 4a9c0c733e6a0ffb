"""The part of a header that a derived object takes over, cut to the module tables of the standard (PS3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from pipelines.outputs.legal import legal_values

if TYPE_CHECKING:
    from pydicom import Dataset

Attributes = Mapping[str, Mapping[str, Any]]
ENTITIES = ("Patient", "Study", "Equipment")  # what one series and all that is derived from it have in common
_SEGMENTATION = "segmentation"  # its IOD; those of reports and captures have the same modules for these
_CODE_VALUES = ("CodeValue", "LongCodeValue", "URNCodeValue")


@cache
def modules() -> dict[str, tuple[bool, Attributes]]:
    """The modules of `ENTITIES`: is it mandatory, and its attributes by keyword.

    The tables are those that highdicom makes of PS3.3; it hands them out by no public name (tested against 0.28).
    """
    from highdicom._standard_utils import construct_module_tree, get_iod_module_map

    return {
        module["key"]: (module["usage"] == "M", construct_module_tree(module["key"])["attributes"])
        for module in get_iod_module_map()[_SEGMENTATION]
        if module["ie"] in ENTITIES and not module["key"].startswith("enhanced")
    }


def tags() -> list[int]:
    """All elements that `fit` looks at."""
    from pydicom.datadict import tag_for_keyword

    found = {tag_for_keyword(keyword) for _, attributes in modules().values() for keyword in attributes}
    return sorted(tag for tag in found if tag is not None)


def fit(raw: Dataset, names: Sequence[str]) -> Dataset:
    """The legal part of a header: every mandatory module with all that it must hold, empty where it may be.

    An optional module is taken over where it is whole. An illegal value is as good as none.

    Args:
        raw: the elements as they are stored.
        names: of the encodings of texts.

    Returns:
        A data set in which an attribute of Type 1 may still be missing, where its module is mandatory.
    """
    from pydicom import Dataset

    fitted = Dataset()
    for mandatory, attributes in modules().values():
        part, missing = _taken(raw, attributes, names)
        if mandatory or (len(part) and not missing):
            _fill(part, attributes)
            fitted.update(part)
    return fitted


def _taken(raw: Dataset, attributes: Attributes, names: Sequence[str]) -> tuple[Dataset, bool]:
    """What is legal of one level of a header; and is an attribute of Type 1 missing?"""
    from pydicom import Dataset
    from pydicom.datadict import dictionary_VR

    part, missing = Dataset(), False
    for keyword, attribute in attributes.items():
        vr = dictionary_VR(keyword)
        values: Any = []
        if keyword in raw:
            element = raw.get_item(keyword)
            if vr == "SQ":
                values = _items(element, attribute.get("attributes", {}), names)
            else:
                values = legal_values(element, keyword, vr, names)
        if values:
            setattr(part, keyword, values if vr == "SQ" or len(values) > 1 else values[0])
        missing |= not values and attribute["type"].value == "1"
    return part, missing


def _items(element: Any, attributes: Attributes, names: Sequence[str]) -> list[Dataset]:
    """The whole items of a sequence."""
    from pydicom.dataelem import RawDataElement, convert_raw_data_element

    try:
        if isinstance(element, RawDataElement):
            element = convert_raw_data_element(element._replace(VR="SQ"))
        items = list(element.value or ())
        taken = [_taken(item, attributes, names) for item in items]
    except Exception:  # a damaged sequence makes pydicom raise almost anything
        return []
    whole = [part for part, missing in taken if len(part) and not missing and _is_code_or_none(part, attributes)]
    for part in whole:
        _fill(part, attributes)
    return whole


def _is_code_or_none(part: Dataset, attributes: Attributes) -> bool:
    """Does an item that should be a code (PS3.3 section 8.8) hold one?"""
    if "CodeMeaning" not in attributes:
        return True
    present = [keyword for keyword in _CODE_VALUES if keyword in part]
    return len(present) == 1 and (present == ["URNCodeValue"] or "CodingSchemeDesignator" in part)


def _fill(part: Dataset, attributes: Attributes) -> None:
    """What must be there and may be empty (Type 2) is there."""
    from pydicom.datadict import dictionary_VR

    for keyword, attribute in attributes.items():
        if attribute["type"].value == "2" and keyword not in part:
            setattr(part, keyword, [] if dictionary_VR(keyword) == "SQ" else None)
