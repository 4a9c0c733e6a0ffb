"""Every accepted real series end to end through `detect --dicom` and `reprocess`, and every output read back."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
from typer.testing import Result

from data_prep import discover, read_volume

Run = Callable[..., Result]
PARTS = ("dicom", "brainix/FLAIR")
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def bright_bundle(identity_bundle: Path) -> Path:
    """A bundle that outlines the brighter half of what it sees."""
    path = identity_bundle / "models" / "calibration.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "voxel_threshold": 0.4, "min_lesion_ml": 0.5}))
    return identity_bundle


def accepted(shared_data: Path) -> dict[str, Any]:
    """Every accepted DICOM series by its name; equal ones count once, as in `reprocess`."""
    found = [one for part in PARTS for one in discover(shared_data / part)]
    return {one.name: one for one in found if one.kind == "dicom" and not one.code}


def faults_of(path: Path) -> list[str]:
    """What `dciodvfy` (Debian: dicom3tools) has against a DICOM object; nothing where it is not installed."""
    if shutil.which("dciodvfy") is None:
        return []
    told = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (told.stdout + told.stderr).splitlines() if line.startswith("Error")]


def read_with_dcmqi(path: Path, program: str, *arguments: object) -> None:
    """dcmqi (`pip install dcmqi`) opens a DICOM object; where it is not on the PATH, nothing is tried."""
    if shutil.which(program) is not None:
        subprocess.run([program, "--inputDICOM", str(path), *map(str, arguments)], capture_output=True, check=True)


def check(folder: Path, outputs: dict[str, str], series: Any) -> None:
    """Every output of a case can be read, and all say the same."""
    volume = series.volume()
    mask = read_volume(folder / outputs["mask"], allow_constant=True)
    np.testing.assert_allclose(mask.affine, volume.affine, atol=1e-3)
    assert mask.array.shape == volume.array.shape == nib.load(folder / outputs["score"]).shape
    finding = json.loads((folder / outputs["finding"]).read_text())
    assert finding["flags"] == list(series.flags)
    assert mask.array.any() == bool(finding["lesions"]) == ("seg" in outputs)
    report = hd.sr.srread(folder / outputs["sr"])
    assert faults_of(folder / outputs["sr"]) == []
    read_with_dcmqi(folder / outputs["sr"], "tid1500reader", "--outputMetadata", folder / "read.json")
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == len(finding["lesions"])
    if "seg" in outputs:
        check_segments(folder / outputs["seg"], series, mask.array > 0, groups, finding["lesions"])


def check_segments(path: Path, series: Any, mask: np.ndarray, groups: list[Any], lesions: list[dict]) -> None:
    """A segment for each lesion, which the report's group of that lesion refers to."""
    assert faults_of(path) == []
    read_with_dcmqi(
        path, "segimage2itkimage", "--outputDirectory", path.parent, "--outputType", "nrrd", "--prefix", "q"
    )
    seg = hd.seg.segread(path)
    uids = {instance.sop_uid for instance in series.stack.instances}
    assert {item.ReferencedSOPInstanceUID for item in seg.SourceImageSequence} == uids
    planes = np.zeros(mask.shape[::-1], bool)
    positions = np.array([instance.position for instance in series.stack.instances])
    for frame, group in zip(
        seg.pixel_array.reshape(-1, *planes.shape[1:]), seg.PerFrameFunctionalGroupsSequence, strict=True
    ):
        place = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        apart = np.linalg.norm(positions - place, axis=1)
        assert apart.min() < 0.01
        planes[series.stack.places[int(apart.argmin())]] |= frame > 0
    np.testing.assert_array_equal(planes.T, mask)
    assert len(seg.SegmentSequence) == len(lesions)
    assert len({tuple(segment.RecommendedDisplayCIELabValue) for segment in seg.SegmentSequence[:7]}) == min(
        7, len(lesions)
    )
    for segment, group, lesion in zip(seg.SegmentSequence, groups, lesions, strict=True):
        assert segment.TrackingUID == group.tracking_uid
        reference = group.referenced_segment
        assert reference.referenced_sop_instance_uid == seg.SOPInstanceUID
        assert list(reference.referenced_segment_numbers) == [segment.SegmentNumber]
        told = {item.name.meaning: item.value for item in group.get_measurements()}
        assert told["Volume"] == pytest.approx(lesion["volume_ml"], abs=1e-4)
        assert told["Diameter"] == pytest.approx(lesion["diameter_mm"], abs=0.1)


def test_detect(shared_data: Path, bright_bundle: Path, healthytwin: Run, tmp_path: Path) -> None:
    every = accepted(shared_data)
    sources = [shared_data / part for part in PARTS]
    done = healthytwin(
        "detect", *sources, "-o", tmp_path, "--bundle", bright_bundle, "--dicom", "--no-report", "--json"
    )
    cases = {case["case"]: case for case in json.loads(done.stdout)["cases"]}
    assert {name for name, case in cases.items() if case["status"] == "done"} >= set(every)
    for name, series in every.items():
        check(tmp_path, cases[name]["outputs"], series)


@pytest.mark.parametrize("part", PARTS)
def test_reprocess(shared_data: Path, bright_bundle: Path, healthytwin: Run, tmp_path: Path, part: str) -> None:
    every = accepted(shared_data)
    archive = tmp_path / "archive"
    done = healthytwin(
        "reprocess", shared_data / part, "-o", archive, "--bundle", bright_bundle, "--workers", 1, "--json"
    )
    told = json.loads(done.stdout)
    manifests = [json.loads(path.read_text()) for path in archive.glob("cases/*/job.json")]
    series = [one for one in discover(shared_data / part) if one.kind == "dicom" and not one.code]
    assert told["jobs"]["done"] == len(manifests)
    assert {row["code"] for row in told["quarantined"]} <= {
        one.code for one in discover(shared_data / part) if one.code
    }
    dicom = [manifest for manifest in manifests if "sr" in manifest["result"]["outputs"]]
    names = {manifest["result"]["outputs"]["sr"].removesuffix("_sr.dcm") for manifest in dicom}
    assert names == {one.name for one in series}
    for manifest in dicom:
        outputs = manifest["result"]["outputs"]
        assert {"picture", "view", "view_score"} <= outputs.keys()
        check(archive / "cases" / manifest["key"][:20], outputs, every[outputs["sr"].removesuffix("_sr.dcm")])
    assert pydicom.dcmread(archive / "cases" / dicom[0]["key"][:20] / dicom[0]["result"]["outputs"]["sr"])
