"""`healthytwin plant`: from healthy scans to a labelled test cohort, some with lesions planted into them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipelines.cohort.healthy import LEARNED_FROM, check_families
from pipelines.detect.cases import healthy_part, listed, refusing
from pipelines.machine.files import writable_folder
from pipelines.outputs.ours import check_apart
from pipelines.problems import CommandError
from pipelines.record import LearningRecord
from pipelines.terminal.progress import progress

if TYPE_CHECKING:
    from data_prep import Case, Volume
    from data_prep.cases.datalist import Datalist

_NAMES = ("modality", "channel_names")  # of a datalist, which name its sequences
_IN_SLICES = (0.5, 1.0)  # extent across the slices over the extent within, both in mm


class PlantRecord(LearningRecord):
    """One run of `healthytwin plant`."""

    command: str = "plant"
    datalist: str
    families: list[str]
    healthy: int = 0
    planted: int = 0
    bare: list[str] = Field(default_factory=list, description="scans in which no lesion could be seen after planting")


def plant(
    source: Path,
    output: Path,
    *,
    families: Sequence[str],
    section: str | None = None,
    copies: int = 1,
    radius: tuple[float, float] = (6.0, 30.0),
    darker: float | None = None,
    window: tuple[float, float] | None = None,
    seed: int = 0,
) -> PlantRecord:
    """Write every healthy scan once as it is and `copies` times with lesions, with labels and a datalist.

    The lesions are those of `anomaly.synthesis`, planted on the scan's own grid and in its own units. A scan with
    `healthy_slices` is cut to its longest healthy run first. Same seed, same cohort.

    Args:
        source: a datalist or a folder of healthy scans.
        output: folder for `images/`, `labels/` and `dataset.json`, whose section is called test; where `section` is
            another one, the source's training and validation stay in it, so that a benchmark can learn from them.
        families: names in `anomaly.synthesis.FAMILIES`; for an honest test, none that was trained on.
        section: of the datalist.
        copies: with lesions, of each scan.
        radius: in-plane semi-axes of a lesion in mm, smallest and largest.
        darker: part of the lesions that are darker than their surroundings; see `PlantAnomalyd`.
        window: of CT, HU, within which lesions are planted; None: that of the soft tissue of each CT scan.
        seed: of the lesions.

    Raises:
        InputError: the source is missing.
        CommandError: an unknown family, a radius that is none, no scan, an output that cannot be written.
    """
    from data_prep import volumes_or_pictures
    from data_prep.cases.datalist import FILE, Datalist

    _check(families, radius)
    check_apart([source], output)
    started = time.perf_counter()
    datalist = Datalist.at(source)
    cases = [case for case in volumes_or_pictures(datalist or source, section) if not case.skipped]
    if not cases:
        msg = f"{source}: no scan to plant lesions into"
        raise CommandError(msg)
    _ = [writable_folder(output / folder) for folder in ("images", "labels")]
    record = PlantRecord(datalist=str(output / FILE), families=list(families))
    entries: list[dict[str, Any]] = []
    same = {"families": families, "radius": radius, "seed": seed, "darker": darker}
    with progress(len(cases), "planting") as begin:
        for case in cases:
            begin(case.name)
            with refusing(case, record.refused):
                volume = healthy_part(case)
                draw = {**same, "window": window or _window(case, volume)}
                entries += _copies(case, volume, output, copies=copies, draw=draw, record=record)
    about = {"name": output.name, "families": list(families), "radius": list(radius), "seed": seed}
    learned = _learned_from(datalist, section)
    Datalist(path=output / FILE, sections={**learned, "test": entries}, about={**_named(datalist), **about}).write()
    record.seconds = round(time.perf_counter() - started, 1)
    return record


def _named(datalist: Datalist | None) -> dict[str, Any]:
    """What a datalist says of its sequences."""
    return {} if datalist is None else {key: datalist.about[key] for key in _NAMES if key in datalist.about}


def _check(families: Sequence[str], radius: tuple[float, float]) -> None:
    check_families("families", families)
    if not 0 < radius[0] <= radius[1]:
        msg = f"radius must be two lengths in mm, the smaller one first, got {radius[0]:g} and {radius[1]:g}"
        raise CommandError(msg)


def _learned_from(datalist: Datalist | None, section: str | None) -> dict[str, list[dict[str, Any]]]:
    """The entries of training and validation, but for the section that was planted in; none where none was named."""
    from data_prep import list_cases

    kept: dict[str, list[dict[str, Any]]] = {}
    if section is None or datalist is None:  # a folder has no sections: all of it was planted in
        return kept
    for name in LEARNED_FROM:
        if name != section and name in datalist.sections:
            kept[name] = [listed(case) for case in list_cases(datalist, name)]
    return kept


def _copies(
    case: Case, volume: Volume, output: Path, *, copies: int, draw: dict[str, Any], record: PlantRecord
) -> list[dict[str, Any]]:
    """Write one scan's versions; gives their entries in the datalist."""
    import numpy as np

    patient = {"patient": case.patient} | ({"modality": case.modality} if case.modality else {})
    empty = replace(volume, array=np.zeros(volume.shape, dtype=np.uint8), sequences=())
    entries = [_write(f"{case.name}_healthy", volume, empty, output) | patient]
    record.healthy += 1
    for number in range(1, copies + 1):
        name = f"{case.name}_planted{number}"
        image, label = with_lesions(volume, name=name, **draw)
        if not label.array.any():
            record.bare.append(name)
            continue
        entries.append(_write(name, image, label, output) | patient)
        record.planted += 1
    return entries


def _window(case: Case, volume: Volume) -> tuple[float, float] | None:
    """Of CT: that of the scan's own soft tissue; None: it is no CT."""
    from data_prep.transforms.hounsfield import Hounsfield

    units = Hounsfield()
    units.add(volume.array, case.modality)
    return units.judged(case.modality)[1]


def with_lesions(
    volume: Volume,
    *,
    name: str,
    families: Sequence[str],
    radius: tuple[float, float],
    seed: int,
    darker: float | None = None,
    window: tuple[float, float] | None = None,
) -> tuple[Volume, Volume]:
    """A scan with lesions, in its own units as float32, and its label, uint8.

    Args:
        volume: a healthy scan.
        name: decides, with `seed`, what is planted.
        families: to draw from.
        radius: in mm.
        seed: of the draw.
        darker: part of the lesions that are darker than their surroundings.
        window: of CT, HU; None: the scan is no CT.
    """
    import numpy as np
    from monai.data import MetaTensor

    from anomaly.synthesis import PlantAnomalyd
    from data_prep import NormalizeTissued, NormalizeWindowd, TissueRegiond, WindowRegiond

    i, j, k = volume.spacing
    step = (i * j) ** 0.5
    sources = volume.sequences or (volume.array,)
    arrays = np.stack([np.zeros_like(volume.array) if one is None else one for one in sources]).astype(np.float32)
    image = MetaTensor(arrays, affine=volume.affine)
    scale = NormalizeWindowd("image", windows=[window]) if window else NormalizeTissued("image")
    region = WindowRegiond("image") if window else TissueRegiond("image")
    item: dict[Any, Any] = region(scale({"image": image, "case": f"{seed} {name}"}))
    planted = PlantAnomalyd(
        "image",
        region_key="region",
        families=families,
        prob=1.0,
        radius=(max(1.0, radius[0] / step), max(1.5, radius[1] / step)),
        slice_ratio=(_IN_SLICES[0] * step / k, _IN_SLICES[1] * step / k),
        seed_keys=["case"],
        darker=darker,
    )(item)
    slopes = np.atleast_1d(item["image"].meta["intensity_scale"]).reshape(-1, 1, 1, 1)
    changes = (planted["image"] - planted["healthy"]).numpy() / slopes
    abnormal = [
        None if one is None else (array + change).astype(np.float32)
        for one, array, change in zip(sources, arrays, changes, strict=True)
    ]
    label = planted["mask"].numpy()[0].astype(np.uint8)
    first = next(one for one in abnormal if one is not None)
    several = tuple(abnormal) if volume.sequences else ()
    return replace(volume, array=first, sequences=several), replace(volume, array=label, sequences=())


def _write(name: str, image: Volume, label: Volume, output: Path) -> dict[str, Any]:
    """The files of a scan, of several sequences one each; gives its entry in the datalist."""
    from data_prep.cohort.steps import save, save_all

    images = save_all(image, output, f"images/{name}.nii.gz")
    entry = {"image": images if image.sequences else images[0], "label": f"labels/{name}.nii.gz"}
    save(label, output / str(entry["label"]))
    return entry
