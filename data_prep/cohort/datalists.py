"""Data sets with a `dataset.json`: the Medical Segmentation Decathlon's, and this project's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_prep.cases.datalist import MODALITY, Datalist
from data_prep.cases.inputs import visit_name
from data_prep.cases.people import People
from data_prep.cases.visit import file_of
from data_prep.cohort.found import Found
from data_prep.formats.rows import SUFFIXES
from data_prep.series import file_name

_OURS = ("label", "site", "patient", "healthy")


def datalist_cases(path: Path, people: People | None = None) -> Iterator[Found]:
    """The cases of a datalist.

    One with a section `validation` is divided already, and stays so. In the Decathlon's, `training` has labels and
    `test` none: what has no label cannot be told healthy, and counts as ill.

    Args:
        path: JSON, or a table in CSV or TSV.
        people: judges the rows of a table.

    Raises:
        InputError: BAD_DATALIST.
    """
    datalist = Datalist.read(path, people)
    is_table = path.suffix.lower() in SUFFIXES
    for section, entries in datalist.sections.items():
        for entry in entries:
            several = not isinstance(entry["image"], str)
            images = tuple(one and path.parent / one for one in entry["image"]) if several else ()
            image = path.parent / file_of(entry["image"])
            name = visit_name([one and str(one) for one in images]) if several else file_name(image)
            label = path.parent / entry["label"] if entry.get("label") else None
            keys = {key: value for key, value in entry.items() if key not in (*_OURS, "image") and value is not None}
            if datalist.modality:
                keys.setdefault(MODALITY, datalist.modality)
            unknown = not (datalist.is_divided or is_table) and section == "test" and label is None
            yield Found(
                name=name,
                image=image,
                images=images,
                patient=str(entry.get("patient") or name),
                label=label,
                site=str(entry.get("site") or ""),
                healthy=False if unknown else entry.get("healthy"),
                section=section if datalist.is_divided else None,
                meta=keys,
            )
