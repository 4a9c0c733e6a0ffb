"""`healthytwin synthesise`: healthy scans of any contrast from label maps of heads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.machine.files import printable, writable_folder
from pipelines.problems import CommandError
from pipelines.record import CaseRecord, LearningRecord
from pipelines.terminal.progress import progress

if TYPE_CHECKING:
    from data_prep.heads import HeadOrder

STRIPPED = {"no": 0.0, "yes": 1.0, "half": 0.5}


class SynthesiseRecord(LearningRecord):
    """One run of `healthytwin synthesise`."""

    command: str = "synthesise"
    datalist: str
    heads: int = 0
    scans: int = 0


def synthesise(source: Path, output: Path, *, order: HeadOrder, section: str = "validation") -> SynthesiseRecord:
    """Write healthy scans of every head that there is a label map of, and a datalist of them.

    A scan depends on the seed and its own name alone: the same command writes the same bytes, and a head that is
    added changes no other.

    Args:
        source: a label map, or a folder of them; see `data_prep.heads.read_head`.
        output: folder for `images/`, `recipes/` and `dataset.json`.
        order: what to make of each.
        section: of the datalist.

    Raises:
        CommandError: there is no label map, none can be used, an unknown contrast, or the output cannot be written.
    """
    from data_prep import InputError
    from data_prep.heads import CONTRASTS, read_head, write_scans

    if unknown := sorted(set(order.contrasts) - set(CONTRASTS)):
        msg = f"contrasts must be some of {', '.join(CONTRASTS)}; got {', '.join(unknown)}"
        raise CommandError(msg)
    started = time.perf_counter()
    maps = _maps(source)
    for folder in ("images", "recipes"):
        writable_folder(output / folder)
    record = SynthesiseRecord(datalist=str(output / "dataset.json"))
    entries: list[dict[str, Any]] = []
    with progress(len(maps), "synthesising") as begin:
        for path in maps:
            begin(path.name)
            try:
                entries += write_scans(read_head(path), path.name.split(".")[0], output, order)
            except InputError as error:
                record.refused.append(
                    CaseRecord.failed(path.name, printable(str(path)), code=error.code, reason=printable(error.reason))
                )
    if not entries:
        msg = f"{source}: no label map can be used, the first: {record.refused[0].words}"
        raise CommandError(msg)
    _write_datalist(output, entries, order, section)
    record.heads, record.scans = len(maps) - len(record.refused), len(entries)
    record.seconds = round(time.perf_counter() - started, 1)
    return record


def _maps(source: Path) -> Sequence[Path]:
    """The label maps at `source`, by name."""
    from data_prep.formats.table import suffix_of

    found = sorted(source.iterdir()) if source.is_dir() else [source]
    maps = [path for path in found if suffix_of(path.name) and path.is_file()]
    if not maps:
        msg = f"{source}: no label map, such as a NIfTI file, is there"
        raise CommandError(msg)
    return maps


def _write_datalist(output: Path, entries: list[dict[str, Any]], order: HeadOrder, section: str) -> None:
    from data_prep.cases.datalist import FILE, Datalist

    about = {
        "name": output.name,
        "modality": {"0": "MR"},
        "description": "Healthy heads made by healthytwin synthesise from label maps. No patient was scanned.",
        "seed": order.seed,
    }
    Datalist(path=output / FILE, sections={section: entries}, about=about).write()
