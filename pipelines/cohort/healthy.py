"""Which scans a training learns from, and which it is validated and calibrated on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.detect.cases import listed, refusing, without_voxels
from pipelines.problems import CommandError
from pipelines.record import CaseRecord
from pipelines.terminal.progress import progress

if TYPE_CHECKING:
    from data_prep import Case, Fingerprint, Volume
    from data_prep.cases.datalist import Datalist
    from data_prep.transforms.hounsfield import Hounsfield

LEARNED_FROM = ("training", "validation")
_CALIBRATION = 9  # the fewest with which a false-alarm rate of 10 % can be promised
FEWEST = 3  # two scans to learn from, one to validate on


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The scans of a training, each read once and found good.

    Args:
        sections: "training" and "validation", to their cases.
        refused: what could not be read.
        fingerprint: of the good ones.
        modality: of the training scans, where they agree; "" else.
        window: of CT, HU, that holds the soft tissue of the training scans; None: they are no CT.
        sequences: names of those that a visit has, at least two; empty: a case is one scan.
    """

    sections: dict[str, list[Case]]
    refused: list[CaseRecord]
    fingerprint: Fingerprint
    modality: str = ""
    window: tuple[float, float] | None = None
    sequences: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def datalist(self, folder: Path) -> Datalist:
        """As the `dataset.json` of a folder, with absolute paths."""
        from data_prep.cases.datalist import FILE, Datalist

        sections = {section: [listed(case) for case in cases] for section, cases in self.sections.items()}
        named = {str(number): name for number, name in enumerate(self.sequences)}
        about = {"modality": named} if named else {}
        return Datalist(path=folder / FILE, sections=sections, about=about)


def gather(source: Path, sequences: Sequence[str] = ()) -> TrainingData:
    """Find the healthy scans in `source`, read each once, and divide them where that was not done.

    Args:
        source: a datalist with the sections training and validation, or with training alone; or a folder of NIfTI,
            NRRD or DICOM.
        sequences: of the visits in a folder, such as T1 and FLAIR; a datalist says itself which it has.

    Raises:
        InputError: there is no such place, or no such section.
        CommandError: fewer than three scans can be read, or some are pictures and others volumes.
    """
    from data_prep import take_fingerprint
    from data_prep.transforms.hounsfield import Hounsfield

    sections, notes = _sections(source, sequences)
    refused: list[CaseRecord] = []
    volumes: list[Volume] = []
    units = Hounsfield()
    good = _read_all(sections, refused, volumes, units)
    if "validation" not in good:
        good = dict(zip(LEARNED_FROM, divide(good["training"]), strict=True))
        notes.append(
            f"{len(good['validation'])} of the scans are kept back to choose the checkpoint and to calibrate on"
        )
    notes += (judged := _judged(source))
    count = {section: len(cases) for section, cases in good.items()}
    if count["training"] < FEWEST - 1 or count["validation"] < 1:
        msg = (
            f"{source}: {sum(count.values())} usable training scans ({count['training']} to train, "
            f"{count['validation']} to validate on), {len(refused)} cannot be read; at least {FEWEST} are needed"
            + "".join(f"; {one}" for one in judged)
        )
        raise CommandError(msg)
    modality, window = units.judged(_modality(source, good["training"]))
    notes += units.notes
    try:
        fingerprint = take_fingerprint(volumes)
    except ValueError as error:
        msg = f"{source}: {error}; train a bundle for each"
        raise CommandError(msg) from error
    return TrainingData(
        sections=good,
        refused=refused,
        fingerprint=fingerprint,
        modality=modality,
        window=window,
        sequences=_names(source, sequences, good["training"]),
        notes=notes,
    )


def _read_all(
    sections: dict[str, list[Case]], refused: list[CaseRecord], volumes: list[Volume], units: Hounsfield
) -> dict[str, list[Case]]:
    """The cases that can be read, by section; `refused`, `volumes` and `units` take in what they need."""
    from data_prep.cases.healthy_runs import SLICE_COUNT

    good: dict[str, list[Case]] = {}
    with progress(sum(map(len, sections.values())), "checking") as begin:
        for section, cases in sections.items():
            good[section] = []
            for case in cases:
                begin(case.name)
                with refusing(case, refused):
                    _check_not_ill(case)
                    volume = case.volume()
                    volumes.append(without_voxels(volume))
                    if section == "training":
                        units.add(volume.array, case.modality)
                    good[section].append(replace(case, meta={**case.meta, SLICE_COUNT: volume.shape[2]}))
    return good


def check_families(what: str, names: Sequence[str]) -> None:
    """Raise `CommandError` where `names`, the value of `what`, are none or not all in `anomaly.synthesis.FAMILIES`."""
    from anomaly.synthesis import FAMILIES

    unknown = sorted(set(names) - set(FAMILIES))
    if unknown or not names:
        msg = f"{what} must be some of {', '.join(FAMILIES)}; got {', '.join(unknown) or 'none'}"
        raise CommandError(msg)


def divide(cases: Sequence[Case]) -> tuple[list[Case], list[Case]]:
    """Who trains, and who is kept back: nine, a fifth of many, or a third of few; drawn by the names' hash.

    The scans of one patient (`Case.patient`) stay together.
    """
    patients = sorted({case.patient for case in cases}, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    number = min(max(_CALIBRATION, round(0.2 * len(patients))), max(1, len(patients) // 3))
    number = max(number, min(_CALIBRATION, len(patients) - _CALIBRATION - 1))
    kept = set(patients[:number])
    return (
        [case for case in cases if case.patient not in kept],
        [case for case in cases if case.patient in kept],
    )


def _sections(source: Path, sequences: Sequence[str]) -> tuple[dict[str, list[Case]], list[str]]:
    """The cases by section; "training" alone where nobody divided them."""
    from data_prep import volumes_or_pictures
    from data_prep.cases.datalist import Datalist
    from data_prep.cases.inputs import group_visits

    datalist = Datalist.at(source)
    if datalist is None:
        cases = volumes_or_pictures(source)
        cases = group_visits(cases, sequences) if len(sequences) > 1 else cases
        return {"training": [case for case in cases if not case.skipped]}, []
    training = volumes_or_pictures(datalist, "training")
    validation = volumes_or_pictures(datalist, "validation") if datalist.is_divided else []
    if not validation:
        return {"training": training}, []
    shared = {case.patient for case in training} & {case.patient for case in validation}
    notes = [f"patients both in training and in validation: {', '.join(sorted(shared))}"] if shared else []
    return {"training": training, "validation": validation}, notes


def _check_not_ill(case: Case) -> None:
    """Raise `InputError` for a case whose datalist says that it is abnormal and names no healthy slices."""
    from data_prep import InputError

    if case.meta.get("healthy") is False and not case.healthy_slices:
        raise InputError(case.image, "NOT_HEALTHY", f"{case.name} is said not to be healthy, and has no healthy_slices")


def _names(source: Path, sequences: Sequence[str], cases: Sequence[Case]) -> tuple[str, ...]:
    """Of the sequences of all cases; empty where a case is one scan. Raises `CommandError` where cases differ."""
    from data_prep.cases.datalist import Datalist

    counts = sorted({len(case.images) for case in cases})
    if len(counts) > 1:
        few, many = counts[0] or 1, counts[-1]
        msg = f"{source}: some cases have {few} sequences and some {many}; null stands for one that is missing"
        raise CommandError(msg)
    if counts[0] < 2:
        return ()
    datalist = Datalist.at(source)
    names = list(sequences) or ([] if datalist is None else datalist.sequences)
    return tuple(names) if len(names) == counts[0] else tuple(f"sequence{number}" for number in range(counts[0]))


def _judged(source: Path) -> list[str]:
    """What a table of cases was understood to say of their health."""
    from data_prep.cases.datalist import Datalist

    datalist = Datalist.at(source)
    return list(datalist.about.get("people", ())) if datalist is not None else []


def _modality(source: Path, cases: Sequence[Case]) -> str:
    """Of all cases; "" where nobody says it. Raises `CommandError` where it is not one."""
    found = sorted({case.modality for case in cases if case.modality})
    if len(found) > 1:
        msg = f"{source}: the training scans are of several modalities, {' and '.join(found)}; train on those of one"
        raise CommandError(msg)
    return found[0] if found else ""
