"""No command writes or prints what a header says of a patient, or the folders that lead to a scan."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from archive import FAMILY_NAME, dicom_series
from conftest import phantom, rotated_affine
from typer.testing import Result

from tests.soak.bundle import make_bundle

FOLDER = "BEEBLEBROX"  # on the way to every scan
SIGNS = "\x1b[31m\u202e\n"  # in the name of a scan: colour, another direction, another line
TINY = ["--epochs", "1", "--steps", "2", "--batch-size", "1"]
COMMANDS = {
    "detect": ["detect", "SCANS", "-o", "OUT"],
    "detect one broken file": ["detect", "SCANS/broken.nii.gz", "-o", "OUT"],
    "detect what is not there": ["detect", "SCANS/not-there", "-o", "OUT"],
    "evaluate": ["evaluate", "COHORT", "-o", "OUT"],
    "calibrate": ["calibrate", "HEALTHY", "-o", "OUT/calibration.json"],
    "plant": ["plant", "HEALTHY", "-o", "OUT"],
    "train": ["train", "HEALTHY", "-o", "OUT/bundle", "--from-scratch", *TINY],
    "benchmark": ["benchmark", "COHORT", "-o", "OUT", "--quick", "--methods", "intensity"],
    "reprocess": ["reprocess", "SCANS", "-o", "OUT", "--workers", "1"],
    "rehearse": ["reprocess", "SCANS", "-o", "OUT", "--dry-run"],
    "status": ["status", "OUT"],
    "quarantine": ["quarantine", "list", "OUT"],
    "retry": ["retry", "OUT"],
    "report": ["report", "OUT", "-o", "OUT/page.html"],
    "export": ["export", "OUT", "-o", "OUT/jobs.csv"],
}
_AFTER_REPROCESS = ("status", "quarantine", "retry", "report", "export")
_WITH_JSON = (
    "detect",
    "evaluate",
    "calibrate",
    "plant",
    "train",
    "benchmark",
    "reprocess",
    "status",
    "quarantine",
    "retry",
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, cohort: Path) -> dict[str, Path]:
    """Scans of every kind below a folder that is called after a patient, and a bundle elsewhere."""
    root = tmp_path_factory.mktemp("data") / FOLDER
    scans, healthy = root / "scans", root / "healthy"
    dicom_series(scans / f"{FOLDER}_JANE" / "flair", lesion=True, patient=f"{FAMILY_NAME}^JANE")
    dicom_series(scans / f"{FOLDER}_RICK", seed=1, patient=f"{FAMILY_NAME}^RICK")
    (scans / FOLDER).mkdir()
    for index, place in enumerate((scans / FOLDER, scans, healthy, healthy, healthy, healthy)):
        place.mkdir(exist_ok=True)
        image = nib.Nifti1Image(phantom(seed=index)[0], rotated_affine((3.0, 3.0, 6.0), angle=0.05))
        image.header["descrip"] = FAMILY_NAME
        nib.save(image, place / f"scan{index}.nii.gz")
    for place in (scans, scans / FOLDER, healthy):
        (place / "broken.nii.gz").write_bytes(b"no image")
        (place / f"sign{SIGNS}.nii.gz").write_bytes(b"no image")
    nan = nib.Nifti1Image(np.full((8, 8, 4), np.nan, np.float32), np.eye(4))
    nib.save(nan, scans / FOLDER / "nan.nii.gz")
    shutil.copytree(cohort, root / "cohort")
    bundle = make_bundle(tmp_path_factory.mktemp("bundle") / "bright")
    return {"SCANS": scans, "HEALTHY": healthy, "COHORT": root / "cohort", "BUNDLE": bundle}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `reprocess`, which the commands after it look at."""
    return tmp_path_factory.mktemp("archive") / "results"


def texts(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file, unpacked; DICOM objects belong into the patient's study, and keep its name."""
    for path in folder.rglob("*"):
        yield f"the name of {path.name!r}", str(path.relative_to(folder)).encode()
        if path.is_file() and path.suffix != ".dcm":
            content = path.read_bytes()
            yield path.name, gzip.decompress(content) if path.suffix == ".gz" else content


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_tells_no_name_and_no_folder(
    healthytwin: Callable[..., Result],
    places: dict[str, Path],
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    out = archive if name in ("reprocess", *_AFTER_REPROCESS) else tmp_path / "out"
    if name in _AFTER_REPROCESS and not archive.exists():
        pytest.skip("its archive is made by the test of `reprocess`")
    (tmp_path / "out").mkdir(exist_ok=True)
    if name == "evaluate":  # its config names the real network
        monkeypatch.delenv("HEALTHYTWIN_BUNDLE", raising=False)
    else:
        monkeypatch.setenv("HEALTHYTWIN_BUNDLE", str(places["BUNDLE"]))
    words = [_filled(word, {**places, "OUT": out}) for word in COMMANDS[name]]
    monkeypatch.setattr("sys.argv", ["healthytwin", *words])  # as provenance has it
    if words[0] in _WITH_JSON:
        words.append("--json")
    done = healthytwin(*words)
    assert done.exit_code in (0, 2, 3, 4), done.stderr
    told: list[tuple[str, bytes]] = [("stdout", done.stdout.encode()), ("stderr", done.stderr.encode())]
    for place, content in [*told, *texts(tmp_path / "out"), *(texts(archive) if out is archive else ())]:
        for canary in (FAMILY_NAME, FOLDER):
            assert canary.encode() not in content, f"{canary} in {place}: {_around(content, canary)}"
        if place in ("stdout", "stderr"):
            assert "\x1b[31m" not in content.decode(), place
            assert "\u202e" not in content.decode(), place


def test_inspect_tells_places_but_nothing_of_a_header(
    healthytwin: Callable[..., Result], places: dict[str, Path]
) -> None:
    """Where a series lies is what it is asked for: it writes no file."""
    for words in ([], ["--json"]):
        done = healthytwin("inspect", places["SCANS"], *words)
        assert FAMILY_NAME not in done.stdout + done.stderr
        assert "\x1b[31m" not in done.stdout
        assert "\u202e" not in done.stdout
    series: list[dict[str, Any]] = json.loads(done.stdout)["series"]
    assert len({one["name"] for one in series}) == len(series), "a name finds one place"


def _filled(word: str, places: dict[str, Path]) -> str:
    for key, place in places.items():
        if word == key or word.startswith(f"{key}/"):
            return str(place) + word.removeprefix(key)
    return word


def _around(content: bytes, canary: str) -> str:
    place = content.index(canary.encode())
    return repr(content[max(0, place - 80) : place + 80])
