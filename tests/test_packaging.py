"""What a user gets who installs the wheel: the bundles' configs, the weights of two, types; and nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYPI_LIMIT = 100 * 10**6  # bytes, of one file
DEFAULT, START = "bundles/brain_flair_healthy_twin", "bundles/brain_mr_healthy_twin"
BUILD = "from setuptools import build_meta; build_meta.build_wheel({out!r}); build_meta.build_sdist({out!r})"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of the files that git knows, and one stray file beside them."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    niivue = ROOT / "pipelines/report/templates/niivue.umd.js"  # git ignores it; `make dist` takes it from npm first
    if niivue.is_file():
        shutil.copyfile(niivue, source / niivue.relative_to(ROOT))
    (source / DEFAULT / "eval").mkdir()
    (source / DEFAULT / "eval" / "PATIENT_mask.nii.gz").touch()
    subprocess.run(
        [sys.executable, "-c", BUILD.format(out=str(out))], cwd=source, capture_output=True, text=True, check=True
    )
    return out


def test_wheel_has_every_bundle_and_the_weights_of_those_for_brains(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.stat().st_size < PYPI_LIMIT
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        for bundle in sorted(path.parent.parent for path in ROOT.glob("bundles/*/configs/metadata.json")):
            place = bundle.relative_to(ROOT)
            configs = [f"{place}/configs/{path.name}" for path in (bundle / "configs").iterdir()]
            assert [name for name in (*configs, f"{place}/LICENSE") if name not in names] == []
        weights = [name for name in names if name.endswith(".pt")]
        assert weights == [f"{place}/models/model.pt" for place in (DEFAULT, START)]
        for place, file in zip((DEFAULT, START), weights, strict=True):
            calibration = json.loads(archive.read(f"{place}/models/calibration.json"))
            assert hashlib.sha256(archive.read(file)).hexdigest() == calibration["weights_sha256"]


def test_wheel_has_types_and_templates_and_no_stray_file(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for room in ("anomaly", "data_prep", "pipelines"):
        modules = {str(path.relative_to(ROOT)) for path in (ROOT / room).rglob("*.py")}
        figures = {name for name in modules if name.startswith("pipelines/figures/")}  # they make the documentation
        assert modules - figures <= set(names)
        assert not figures & set(names)
        assert f"{room}/py.typed" in names
    templates = {path.name for path in (ROOT / "pipelines/report/templates").iterdir()}
    assert {f"pipelines/report/templates/{name}" for name in templates} <= set(names)
    assert [name for name in names if name.startswith("tests/") or "PATIENT" in name] == []


def test_sdist_can_be_tested_and_documented(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    assert sdist.stat().st_size < PYPI_LIMIT
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"Makefile", "constraints.txt", "docs/index.md", "tests/test_project.py", f"{DEFAULT}/models/model.pt"}
    assert needed <= names
    assert [name for name in names if "PATIENT" in name] == []
