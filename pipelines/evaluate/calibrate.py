"""`healthytwin calibrate`: a site's own thresholds and p-values for a bundle, from the site's healthy scans."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from pipelines.bundles import Wanted, find_bundle, load, wanted_by
from pipelines.detect.cases import gather_cases, healthy_part, refusing
from pipelines.machine.device import check_device
from pipelines.machine.files import write_whole
from pipelines.machine.provenance import commit
from pipelines.outputs.ours import check_ours
from pipelines.problems import CommandError
from pipelines.record import CaseRecord, LearningRecord
from pipelines.terminal.progress import progress, waiting

if TYPE_CHECKING:
    from anomaly import Detector
    from anomaly.scoring import Calibration, HealthyScores
    from data_prep import Case

SECTION = "validation"  # of a datalist: test cases never set a threshold, training cases score too low


class CalibrateRecord(LearningRecord):
    """One run of `healthytwin calibrate`."""

    command: str = "calibrate"
    calibration: str
    bundle: dict[str, str] = Field(default_factory=dict)
    scans: int = 0
    patients: int = 0
    promise: str = ""
    thresholds: dict[str, float | None] = Field(default_factory=dict, description="image: null where none is reached")
    thresholds_before: dict[str, float | None] = Field(default_factory=dict, description="the bundle's own")


def calibrate(
    source: Path,
    output: Path,
    *,
    bundle: Path | None = None,
    section: str = SECTION,
    alpha: float | None = None,
    device: str | None = None,
    allow_gaps: bool = False,
) -> CalibrateRecord:
    """Calibrate a bundle's weights on healthy scans, and write the calibration to a file of its own.

    Several scans of one patient (`Case.patient`) count as one. Cases are named by a hash of their content.

    Args:
        source: a datalist, or a folder of healthy scans that the network has not learned from.
        output: the JSON file, for `detect --calibration` and `reprocess --calibration`.
        bundle: its folder; see `find_bundle`.
        section: of the datalist.
        alpha: rate of false alarms on healthy scans; None: the bundle's.
        device: see `load`.
        allow_gaps: take DICOM volumes in which whole slices are missing.

    Raises:
        InputError: the source is missing, or has no such section.
        CommandError: no scan can be read, or the file cannot be written.
        BundleError: the bundle is incomplete or its files do not belong together.
    """
    started = time.perf_counter()
    check_device(device)
    check_ours(output.parent, [output.name])
    root = find_bundle(bundle)
    cases, refused = _cases(source, section, wanted_by(root), allow_gaps=allow_gaps)
    with waiting(f"loading {root.name}"):
        detector = load(root, device=device)
    record = CalibrateRecord(calibration=str(output), bundle=detector.bundle.model_dump(), refused=refused)
    healthy = _examine(detector, cases, record, allow_gaps=allow_gaps)
    own = detector.calibration
    made = healthy.calibrate(
        weights_sha256=own.weights_sha256,
        voxel_false_positive_rate=own.voxel_false_positive_rate,
        voxel_rule=own.voxel_rule,
        alpha=own.alpha if alpha is None else alpha,
        min_lesion_ml=own.min_lesion_ml,
    )
    _save(made.model_copy(update={"provenance": _provenance(record)}), output)
    record.patients, record.promise = len(made.cases), made.promise()
    record.thresholds, record.thresholds_before = _thresholds(made), _thresholds(own)
    record.seconds = round(time.perf_counter() - started, 1)
    return record


def _cases(source: Path, section: str, wanted: Wanted, *, allow_gaps: bool) -> tuple[list[Case], list[CaseRecord]]:
    from data_prep import list_cases
    from data_prep.cases.datalist import Datalist

    if (datalist := Datalist.at(source)) is not None:
        return list_cases(datalist, section, allow_gaps=allow_gaps, flat=wanted["flat"] or None), []
    cases, records = gather_cases([source], allow_gaps=allow_gaps, **wanted)
    return cases, [record for record in records if record.status == "failed"]


def _examine(detector: Detector, cases: list[Case], record: CalibrateRecord, *, allow_gaps: bool) -> HealthyScores:
    """The scores of all cases that can be read."""
    from anomaly.scoring import HealthyScores

    healthy, names = HealthyScores(), dict[str, str]()
    with progress(len(cases), "calibrating") as begin:
        for case in cases:
            begin(case.name)
            with refusing(case, record.refused):
                _check_healthy(case)
                volume = healthy_part(case, allow_gaps=allow_gaps)
                name = names.setdefault(case.patient, volume.input_hash[:12])
                healthy.add(name, *detector.healthy(volume))
                record.scans += 1
    if not record.scans:
        what = f"{len(record.refused)} cannot be used, the first: {record.refused[0].words}" if record.refused else ""
        msg = f"no scan to calibrate on; {what or 'none was found'}"
        raise CommandError(msg)
    return healthy


def _check_healthy(case: Case) -> None:
    """Raise `InputError` for a case whose label, or datalist, says that it is not healthy, and no slices of it are."""
    if case.healthy_slices:
        return
    from data_prep import InputError

    if case.meta.get("healthy") is False:
        raise InputError(case.image, "NOT_HEALTHY", f"{case.name} is said not to be healthy, and has no healthy_slices")
    if case.label is None:
        return
    from pipelines.report.truth import load_truth

    if load_truth(case.label, case.volume()).any():
        raise InputError(case.image, "NOT_HEALTHY", f"{case.name} has a labelled lesion and no healthy_slices")


def _thresholds(calibration: Calibration) -> dict[str, float | None]:
    """Scores above `image` are abnormal, `voxel` begins the mask; see `Thresholds`."""
    image = calibration.image_threshold
    return {"voxel": calibration.voxel_threshold, "image": image if image <= 1 else None}


def _provenance(record: CalibrateRecord) -> dict[str, str]:
    bundle = f"{record.bundle['name']} {record.bundle['version']}"
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"made_by": "healthytwin calibrate", "bundle": bundle, "date": date, "commit": commit()}


def _save(calibration: Calibration, output: Path) -> None:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, calibration.model_dump_json(indent=2) + "\n")
    except OSError as error:
        msg = f"{output}: cannot be written: {error.strerror or error}"
        raise CommandError(msg) from error
