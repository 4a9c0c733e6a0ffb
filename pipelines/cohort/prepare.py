"""`healthytwin prepare`: scans in; a datalist, prepared images and a contact sheet out."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from data_prep.errors import without_folders
from pipelines.cohort.record import PrepareRecord, ScanRecord
from pipelines.machine.cores import default_workers
from pipelines.machine.files import printable, writable_folder, write_whole
from pipelines.outputs.ours import check_apart
from pipelines.problems import CommandError
from pipelines.terminal.progress import progress, waiting

if TYPE_CHECKING:
    import numpy as np

    from data_prep.cases.datalist import Datalist
    from data_prep.cases.people import People
    from data_prep.cohort.classes import Classes
    from data_prep.cohort.found import Found
    from data_prep.cohort.prepared import Prepared, Preparer
    from data_prep.cohort.steps import Steps

_SAFE = re.compile(r"[^\w.+-]+")


def prepare(
    sources: Sequence[Path],
    output: Path,
    *,
    steps: Steps,
    layout: str = "auto",
    sequences: Sequence[str] = (),
    healthy: str | None = None,
    classes: Classes | None = None,
    shares: tuple[float, float, float] = (0.70, 0.15, 0.15),
    seed: int = 0,
    exclude: Path | None = None,
    allow_gaps: bool = False,
) -> PrepareRecord:
    """Build a datalist from research data.

    Args:
        sources: folders, files, archives; see `data_prep.cohort.sources.find_scans`.
        output: gets `dataset.json`, `images/`, `labels/`, `contact_sheet.html`, `prepare.json`, and `.store/` with
            results by the hash of their content.
        steps: what is done to every scan.
        layout: how the sources are laid out.
        sequences: such as T1, where there are several; more than one become one scan of each visit.
        healthy: column and word of a table of people, such as group=CTRL; None: words are understood where they can be.
        classes: which folders hold the healthy and the abnormal, where the sources have a folder a class.
        shares: of training, validation and test among the healthy.
        seed: of the draw.
        exclude: text file with the name of a scan that is not wanted on each line.
        allow_gaps: accept DICOM volumes in which whole slices are missing.

    Raises:
        CommandError: a tool is missing, the output cannot be written, a name to exclude does not occur.
        InputError: a source cannot be understood, or LEAKAGE.
    """
    from data_prep.cohort.cache import Cache
    from data_prep.cohort.prepared import Preparer
    from data_prep.cohort.steps import ToolError

    check_apart(sources, output)
    started = time.perf_counter()
    try:
        steps.check()
    except ToolError as error:
        raise CommandError(str(error)) from error
    run = PrepareRecord(output=str(output))
    run.preparation = {**steps.settings(), "seed": seed, "shares": list(shares), "sequences": list(sequences)}
    run.preparation |= {} if healthy is None else {"healthy": healthy}
    options = {"layout": layout, "sequences": sequences, "classes": classes, "allow_gaps": allow_gaps}
    scans = _judged(run, sources, _people(healthy), options)
    if not scans:
        return run
    _check_steps(steps, scans)
    writable_folder(output)
    preparer = Preparer(Cache(output / ".store"), steps, allow_gaps=allow_gaps)
    ready = _prepare_all(run, preparer, _wanted(run, scans, exclude))
    ready = _without_duplicates(run, ready)
    _divide(run, preparer, ready, shares=shares, seed=seed)
    _finish(run, preparer, ready, started=started)
    return run


def _people(rule: str | None) -> People:
    from data_prep.cases.people import People

    try:
        return People(rule)
    except ValueError as error:
        msg = f"--healthy: {error}"
        raise CommandError(msg) from error


def _judged(run: PrepareRecord, sources: Sequence[Path], people: People, options: dict[str, Any]) -> list[Found]:
    """The scans of all sources; `run` gets what tables of people were understood to say."""
    with waiting("looking for scans"):
        scans = _find(run, sources, people=people, **options)
    run.people = people.sentences()
    people.check(sources[0], empty=all(scan.healthy is False for scan in scans))
    return scans


def _find(run: PrepareRecord, sources: Sequence[Path], *, allow_gaps: bool, **options: Any) -> list[Found]:
    """The scans of all sources, under names that can be files' names, each once."""
    from data_prep import unique_names
    from data_prep.cohort.sources import find_scans

    scans: list[Found] = []
    for source, prefix in zip(sources, _prefixes(sources), strict=True):
        layout, found = find_scans(source, allow_gaps=allow_gaps, workers=default_workers(), **options)
        run.layouts[printable(source)] = layout
        hashed = [scan.series is not None and scan.series.kind == "dicom" for scan in found]
        scans += [
            replace(scan, patient=scan.patient if same or not prefix else f"{prefix}/{scan.patient}")
            for scan, same in zip(found, hashed, strict=True)
        ]
    return unique_names(replace(scan, name=_SAFE.sub("_", printable(scan.name))) for scan in scans)


def _check_steps(steps: Steps, scans: Sequence[Found]) -> None:
    """Raise `CommandError` for steps that would take the meaning from CT's numbers."""
    from data_prep.cases.datalist import MODALITY

    if steps.standardise == "nyul" and any(scan.images for scan in scans):
        msg = "--standardise nyul: learns the scale of one sequence, and the scans have several"
        raise CommandError(msg)
    wanted = [name for name, asked in (("--n4", steps.n4), ("--standardise", steps.standardise)) if asked]
    if wanted and (scan := next((scan for scan in scans if scan.meta.get(MODALITY) == "CT"), None)):
        msg = f"{' and '.join(wanted)}: not for CT, whose Hounsfield units are one scale already; {scan.name} is CT"
        raise CommandError(msg)


def _prefixes(sources: Sequence[Path]) -> list[str]:
    """What tells the patients of one source from those of another: patient 1 of one data set is not the other's.

    The last parts of the folders' paths, as many as it takes; "" for one source alone, also where its name is repeated.

    >>> _prefixes([Path("/a/images"), Path("/b/images"), Path("/b")])
    ['a/images', 'b/images', '/b']
    """
    places = [source.resolve().parts for source in sources]
    different = len(set(places))
    if different < 2:
        return [""] * len(sources)
    depth = next(
        count for count in range(1, 1 + max(map(len, places))) if len({p[-count:] for p in places}) == different
    )
    return [str(Path(*place[-depth:])) for place in places]


def _wanted(run: PrepareRecord, scans: list[Found], exclude: Path | None) -> list[Found]:
    """The scans that a person did not throw out."""
    if exclude is None:
        return scans
    try:
        lines = exclude.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        msg = f"{exclude}: cannot read this list of scans to exclude: {error}"
        raise CommandError(msg) from error
    names = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    if unknown := names - {scan.name for scan in scans}:
        msg = f"{exclude}: there is no scan called {', '.join(sorted(unknown))}"
        raise CommandError(msg)
    for scan in scans:
        if scan.name in names:
            run.scans.append(_record(scan, "left out", "EXCLUDED", f"{exclude.name} excludes {scan.name}"))
    return [scan for scan in scans if scan.name not in names]


def _prepare_all(run: PrepareRecord, preparer: Preparer, scans: list[Found]) -> list[Prepared]:
    """Every scan that can be prepared; the others get their reason."""
    from data_prep import InputError, Verdict
    from data_prep.verdict import verdict_of

    ready = []
    with progress(len(scans), "preparing") as begin:
        for scan in scans:
            begin(scan.name)
            try:
                ready.append(preparer.prepare(scan))
            except InputError as error:
                skipped = verdict_of(error.code) is Verdict.SKIP
                run.scans.append(_record(scan, "left out" if skipped else "refused", error.code, error.reason))
            except MemoryError:
                run.scans.append(_record(scan, "refused", "TOO_LARGE", f"there is no memory for {scan.image.name}"))
    return ready


def _without_duplicates(run: PrepareRecord, ready: list[Prepared]) -> list[Prepared]:
    """Of scans with the same voxels one, the ill or labelled one first; their patients are one and the same.

    Raises:
        InputError: LEAKAGE where sources put them into different sections.
    """
    from data_prep.cohort.leakage import Entry, check_leakage

    given = [
        Entry(str(one.scan.image), one.scan.section, one.scan.name, one.voxels) for one in ready if one.scan.section
    ]
    check_leakage(given)
    first: dict[str, Prepared] = {}
    same: dict[str, str] = {}  # patient to patient
    for one in sorted(ready, key=lambda one: (not one.ill, one.scan.label is None, one.scan.section is None)):
        other = first.setdefault(one.voxels, one)
        if other is not one:
            same[_root(same, one.scan.patient)] = _root(same, other.scan.patient)
            reason = f"{one.scan.name} has the same voxels as {other.scan.name}"
            run.scans.append(_record(one.scan, "left out", "DUPLICATE", reason))
    kept = [one for one in ready if first[one.voxels] is one]
    return [replace(one, scan=replace(one.scan, patient=_root(same, one.scan.patient))) for one in kept]


def _root(same: dict[str, str], patient: str) -> str:
    """The patient that stands for all who are the same."""
    while same.get(patient, patient) != patient:
        patient = same[patient]
    return patient


def _divide(
    run: PrepareRecord, preparer: Preparer, ready: list[Prepared], *, shares: tuple[float, float, float], seed: int
) -> None:
    """Draw sections, put the files under their names, and check the whole for leakage."""
    from data_prep.cohort.cache import place
    from data_prep.cohort.leakage import Entry, check_leakage
    from data_prep.cohort.split import draw_sections

    sections = draw_sections(
        [one.scan for one in ready], (one.scan.name for one in ready if one.ill), shares=shares, seed=seed
    )
    section_of = [sections[one.scan.patient] for one in ready]
    check_leakage(
        Entry(str(one.scan.image), section, one.scan.patient, one.voxels)
        for one, section in zip(ready, section_of, strict=True)
    )
    scale = _scale(
        run, preparer, [one for one, section in zip(ready, section_of, strict=True) if section == "training"]
    )
    folder = Path(run.output)
    for name in ("images", "labels"):
        (folder / name).mkdir(exist_ok=True)
    for one, section in zip(ready, section_of, strict=True):
        record = _prepared(one, section)
        for path, to in zip(preparer.images(one), record.images or [record.image], strict=True):
            if path is not None and to is not None:
                place(path if scale is None else preparer.standardise(one, scale), folder / to)
        if record.label:
            place(preparer.label(one), folder / record.label)
        run.scans.append(record)


def _scale(run: PrepareRecord, preparer: Preparer, training: list[Prepared]) -> np.ndarray | None:
    """Nyul's standard scale of the training scans, where it is asked for."""
    if preparer.steps.standardise != "nyul":
        return None
    import numpy as np

    from data_prep.cohort.nyul import standard_scale

    if not training:
        msg = "Nyul's standardisation learns its scale from training scans, and there is none"
        raise CommandError(msg)
    scale = standard_scale([np.array(one.marks) for one in training])
    run.preparation["nyul_scale"] = [round(float(mark), 4) for mark in scale]
    return scale


def _prepared(one: Prepared, section: str) -> ScanRecord:
    from data_prep.cohort.steps import numbered

    labelled = one.scan.label is not None or (
        section == "test" and not one.ill
    )  # a healthy test scan has an empty mask
    image = f"images/{one.scan.name}.nii.gz"
    images = [numbered(image, number) if there else None for number, there in enumerate(one.scan.images)]
    return _record(one.scan, "prepared").model_copy(
        update={
            "section": section,
            "image": next(name for name in images or [image] if name),
            "images": images,
            "label": f"labels/{one.scan.name}.nii.gz" if labelled else "",
            "shape": list(one.shape),
            "spacing_mm": list(one.spacing),
            "abnormal_voxels": one.abnormal,
            "flags": list(one.flags),
        }
    )


def _record(
    scan: Found, status: Literal["prepared", "left out", "refused"], code: str = "", reason: str = ""
) -> ScanRecord:
    return ScanRecord(
        name=scan.name,
        source=printable(scan.image),
        status=status,
        code=code,
        reason=without_folders(printable(reason), printable(scan.image)),
        patient=printable(scan.patient),
        site=scan.site,
    )


def _finish(run: PrepareRecord, preparer: Preparer, ready: list[Prepared], *, started: float) -> None:
    """Write datalist, contact sheet and record, and remove what an earlier run placed here and this one did not."""
    from data_prep.cases.datalist import SECTIONS
    from pipelines.cohort.contact_sheet import write_contact_sheet

    folder = Path(run.output)
    order = {name: number for number, name in enumerate((*SECTIONS, ""))}
    run.scans.sort(key=lambda scan: order[scan.section])
    placed = {path for scan in run.scans for path in (scan.image, scan.label, *scan.images) if path}
    for path in _placed_before(folder) - placed:
        (folder / path).unlink(missing_ok=True)
    run.datalist = str(datalist(run, ready).write())
    run.contact_sheet = str(write_contact_sheet(folder / "contact_sheet.html", run, preparer.cache))
    run.seconds = round(time.perf_counter() - started, 3)
    write_whole(folder / "prepare.json", run.model_dump_json(indent=2) + "\n")


def _placed_before(folder: Path) -> set[str]:
    """Files below `images` and `labels` that an earlier run's record names."""
    try:
        before = PrepareRecord.model_validate_json((folder / "prepare.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return {
        path
        for scan in before.scans
        for path in (scan.image, scan.label, *filter(None, scan.images))
        if re.fullmatch(r"(images|labels)/[^/]+\.nii\.gz", path)
    }


def datalist(run: PrepareRecord, ready: Sequence[Prepared]) -> Datalist:
    """The datalist of a run."""
    from data_prep.cases.datalist import FILE, MODALITY, SECTIONS, Datalist

    runs = {one.scan.name: one.runs for one in ready if one.runs}
    rest = {
        one.scan.name: {key: value for key, value in one.scan.meta.items() if key != "healthy_slices"} for one in ready
    }
    ill = {one.scan.name for one in ready if one.scan.healthy is False and one.scan.label is None}
    sections: dict[str, list[dict[str, Any]]] = {name: [] for name in SECTIONS}
    for scan in run.scans:
        if scan.status == "prepared":
            keys = {"image": scan.images or scan.image, "label": scan.label, "patient": scan.patient, "site": scan.site}
            entry = {key: value for key, value in keys.items() if value} | rest[scan.name]
            if scan.name in ill:
                entry["healthy"] = False
            sections[scan.section].append(entry | ({"healthy_slices": runs[scan.name]} if scan.name in runs else {}))
    said = {entry.get(MODALITY) for entries in sections.values() for entry in entries}
    names = run.preparation.get("sequences") or [(said.pop() if len(said) == 1 else None) or "image"]
    modality = {str(number): name for number, name in enumerate(names)}
    about = {"name": Path(run.output).name, "modality": modality, "preparation": run.preparation}
    return Datalist(path=Path(run.output) / FILE, sections=sections, about=about)
