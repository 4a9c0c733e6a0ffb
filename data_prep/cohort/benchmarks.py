"""Benchmarks of pictures as they are downloaded: MVTec AD and what anomalib reads like it, BMAD, MedIAnomaly."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from data_prep.cohort.found import Found
from data_prep.errors import InputError
from data_prep.series import Series, file_name

NAMES = ("mvtec", "bmad", "medianomaly")
_SECTIONS = {"train": "training", "valid": "validation", "val": "validation", "test": "test"}
_HEALTHY = ("good", "normal")
_MASKS = ("label", "annotation", "ground_truth")
_PLACE = re.compile(
    r"^(?:(?P<set>.+)/)?(?P<section>train|valid|val|test)/(?:(?P<kind>[^/]+)/)?(?:(?P<inner>img|label)/)?(?P<name>[^/]+)$"
)
_ISIC = "ISIC2018_Task3_{}_Input", "ISIC2018_Task3_{0}_GroundTruth/ISIC2018_Task3_{0}_GroundTruth.csv"
_FEWEST = 9  # healthy cases with which a false-alarm rate of 10 % can be promised
_KEPT_BACK = 0.15  # of the training cases, where a set has no validation


def benchmark_cases(folder: Path, files: Sequence[str], *, layout: str = "auto") -> tuple[str, list[Found]] | None:
    """The cases of a benchmark, each in the section that the benchmark gives it; None where `folder` is none.

    Where it has no validation, cases are drawn from its training, by a hash of their names. The abnormal ones of a
    validation are left out: nothing is chosen on them here.

    Args:
        folder: of one of its data sets.
        files: all below it.
        layout: one of `NAMES`, or "auto".

    Raises:
        InputError: BAD_DATALIST where the folder holds several sets, or its lists name files that are not there.
    """
    for name, read in (("medianomaly", _listed), ("medianomaly", _isic), ("", _in_folders)):
        found = read(folder, files)
        if not found:
            continue
        name = name or _name(files)
        if layout in ("auto", name):
            return name, list(_with_validation([_left_out(case) for case in found]))
    return None


def _in_folders(folder: Path, files: Sequence[str]) -> list[Found]:
    """`train/good/`, `test/good/`, `test/<what is wrong>/`, and masks of one of three ways."""
    places = [match for match in map(_PLACE.match, files) if match is not None]
    images = [place for place in places if place["kind"] not in _MASKS and place["inner"] != "label"]
    kinds = {(place["section"], (place["kind"] or "").casefold()) for place in images}
    trained = {kind for section, kind in kinds if section == "train"}
    if not trained & {*_HEALTHY, ""} or not {("test", kind) for kind in _HEALTHY} & kinds or trained - {*_HEALTHY, ""}:
        return []
    if len(sets := sorted({place["set"] or "." for place in images})) > 1:
        raise InputError(folder, "BAD_DATALIST", f"there are the sets {', '.join(sets)}: name the folder of one")
    known = set(files)
    return [_found(folder, place, known) for place in images]


def _found(folder: Path, place: re.Match[str], known: set[str]) -> Found:
    kind = place["kind"] or ""
    healthy = kind.casefold() in (*_HEALTHY, "")
    label = None if healthy else next((mask for mask in _masks_of(place) if mask in known), None)
    return _case(folder, place.string, _SECTIONS[place["section"]], healthy=healthy, label=label)


def _masks_of(place: re.Match[str]) -> Iterator[str]:
    """Where the mask of an abnormal picture may lie."""
    root, section, kind, name = place["set"], place["section"], place["kind"], place["name"]
    base = f"{root}/" if root else ""
    stem, suffix = file_name(name), PurePosixPath(name).suffix
    yield f"{base}{section}/{kind}/label/{name}"  # BMAD
    for folder in (f"{base}ground_truth/{kind}", f"{base}{section}/annotation"):  # MVTec AD, MedIAnomaly
        for other in (f"{stem}_mask{suffix}", f"{stem}_mask.png", name.replace("flair", "seg"), name):
            yield f"{folder}/{other}"


def _listed(folder: Path, files: Sequence[str]) -> list[Found]:
    """MedIAnomaly's `data.json`: `{"train": {"0": [...]}, "test": {"0": [...], "1": [...]}}`, pictures in `images/`."""
    try:
        content = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        parts = [
            (section, number, str(name))
            for section in ("train", "test")
            for number in content[section]
            for name in content[section][number]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    wanted = [part for part in parts if part[0] == "test" or part[1] == "0"]
    return list(_named(folder, files, "images", ((name, section, number == "0") for section, number, name in wanted)))


def _isic(folder: Path, files: Sequence[str]) -> list[Found]:
    """ISIC 2018, task 3, as MedIAnomaly takes it: naevi (`NV`) are the normal class."""
    found: list[Found] = []
    for word, section in (("Training", "train"), ("Test", "test")):
        table = folder / _ISIC[1].format(word)
        if not table.is_file():
            return []
        with table.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
            rows = [(f"{row['image']}.jpg", float(row["NV"]) == 1) for row in csv.DictReader(lines)]
        named = ((name, section, normal) for name, normal in rows if normal or section == "test")
        found += _named(folder, files, _ISIC[0].format(word), named)
    return found


def _named(folder: Path, files: Sequence[str], inside: str, rows: Iterable[tuple[str, str, bool]]) -> Iterator[Found]:
    known = set(files)
    for name, section, healthy in rows:
        if f"{inside}/{name}" not in known:
            raise InputError(folder, "BAD_DATALIST", f"its list names {name}, which is not in {inside}")
        yield _case(folder, f"{inside}/{name}", _SECTIONS[section], healthy=healthy, label=None)


def _case(folder: Path, file: str, section: str, *, healthy: bool, label: str | None) -> Found:
    return Found(
        name=file_name(file),
        image=folder / file,
        patient=str(PurePosixPath(file).with_name(file_name(file))),
        label=None if label is None else folder / label,
        healthy=None if healthy else False,
        section=section,
    )


def _left_out(case: Found) -> Found:
    """An abnormal case of a validation, with the reason why it is not used."""
    if case.section != "validation" or case.healthy is None:
        return case
    reason = f"{case.image.name} is abnormal and of the validation: nothing is chosen on abnormal cases"
    series = Series(name=case.name, place=str(case.image), kind="picture", code="ABNORMAL_VALIDATION", reason=reason)
    return replace(case, section=None, series=series)


def _with_validation(cases: Sequence[Found]) -> Iterator[Found]:
    """The same cases, some of the training kept back for a set without a validation."""
    if any(case.section == "validation" for case in cases):
        yield from cases
        return
    ranked: Mapping[str, str] = {
        case.patient: hashlib.sha256(case.patient.encode()).hexdigest() for case in cases if case.section == "training"
    }
    count = min(max(_FEWEST, round(_KEPT_BACK * len(ranked))), len(ranked) // 3)
    kept = set(sorted(ranked, key=lambda patient: ranked[patient])[:count])
    for case in cases:
        back = case.section == "training" and case.patient in kept
        yield replace(case, section="validation") if back else case


def _name(files: Sequence[str]) -> str:
    """Which benchmark's way of naming folders it is."""
    folders = {part.casefold() for file in files for part in PurePosixPath(file).parts[:-1]}
    if "ungood" in folders:
        return "bmad"
    return "medianomaly" if "annotation" in folders else "mvtec"
