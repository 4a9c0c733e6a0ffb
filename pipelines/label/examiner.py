"""One study of a MONAI Label server through the gate and the detector, as `healthytwin detect` takes it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from pipelines.bundles import load, wanted_by
from pipelines.detect.cases import gather_cases

if TYPE_CHECKING:
    from anomaly import Detector, Examination
    from data_prep import Case, Volume


class Examiner:
    """Examines one study at a time, and keeps the last answer: another threshold needs no network.

    Args:
        bundle: its folder.
        device: as of `healthytwin detect`.

    Raises:
        BundleError: the bundle is incomplete, or its weights are not the calibrated ones.
    """

    def __init__(self, bundle: Path, *, device: str | None = None) -> None:
        from anomaly.bundle import bundle_id, load_calibration

        self.bundle, self._device = bundle, device
        self.calibration = load_calibration(bundle)
        self.id = bundle_id(bundle, self.calibration)
        self._lock = Lock()
        self._last: Examination | None = None

    @cached_property
    def detector(self) -> Detector:
        """The bundle's, loaded when it is first needed."""
        return load(self.bundle, device=self._device)

    def __call__(self, study: Path) -> tuple[Volume, Examination]:
        """Read a study, and examine it; without the healthy twin.

        Raises:
            InputError: the study is refused, or is not one volume.
        """
        case = only_case(study, self.bundle)
        volume = case.volume()
        with self._lock:
            last = self._last
            if last is None or (last.finding.case, last.finding.input_hash) != (case.name, volume.input_hash):
                last = self._last = replace(self.detector.examine(volume, case=case.name), twin=None)
        return volume, last


def only_case(study: Path, bundle: Path) -> Case:
    """The one case at a path.

    Raises:
        InputError: there is none that the bundle is for, or there are several.
    """
    from data_prep import InputError

    cases, others = gather_cases([study], **wanted_by(bundle))
    if len(cases) == 1:
        return cases[0]
    if cases:
        reason = f"{study.name} holds {len(cases)} series or volumes; name one of their folders, or one of their files"
        raise InputError(study, "MULTI_VOLUME", reason)
    if others:
        raise InputError(study, others[0].code or "", others[0].reason or "")
    raise InputError(study, "NOT_AN_IMAGE", f"{study.name} holds no image")


def place_of(image: str, datastore: Any) -> str:
    """Path of an image of a datastore.

    One behind DICOMweb gives the first who asks a temporary file, and keeps a copy; here it is the copy, and the file
    of a patient does not stay behind.
    """
    first, place = datastore.get_image_uri(image), datastore.get_image_uri(image)
    if first != place:
        Path(first).unlink(missing_ok=True)
    return str(place)


def study_of(image: str | Path) -> Path:
    """What is examined for an image of a datastore: the DICOM series that MONAI Label converted it from, or itself.

    A DICOMweb datastore keeps the series `<uid>/` beside the `<uid>.nii.gz` that viewers are given; only the series
    tells the gate whether slices are missing.
    """
    path = Path(image)
    series = path.with_name(path.name.removesuffix(".nii.gz"))
    return series if series.is_dir() else path
