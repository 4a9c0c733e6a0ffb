"""Data never runs: no command imports what lies in its working directory, beside the images. Results are private."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import pytest
from archive import dicom_series
from conftest import ROOT, phantom, rotated_affine
from pydicom import dcmread
from pydicom.uid import RLELossless

from tests.hostile.folder import imported, make_hostile
from tests.soak.bundle import make_bundle

TINY = ["--epochs", "1", "--steps", "2", "--batch-size", "1"]
COMMANDS = {
    "inspect with a decoder": ["inspect", "--pixels", "series"],
    "inspect with several processes": ["inspect", "many"],
    "detect": ["detect", "series", "scans", "-o", "out"],
    "reprocess": ["reprocess", "scans", "-o", "archive", "--workers", "1"],
    "train": ["train", "scans", "-o", "trained", "--from-scratch", *TINY],
    "benchmark": ["benchmark", "cohort", "-o", "compared", "--quick", "--methods", "intensity"],
}


@pytest.fixture(scope="module")
def mark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mark") / "imported"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, mark: Path, cohort: Path) -> Path:
    """Scans of every kind, in a hostile folder."""
    folder = make_hostile(tmp_path_factory.mktemp("data"), mark)
    (folder / "scans").mkdir()
    for index in range(4):
        image = nib.Nifti1Image(phantom(seed=index)[0], rotated_affine((3.0, 3.0, 6.0), angle=0.05))
        nib.save(image, folder / "scans" / f"scan{index}.nii.gz")
    for file in dicom_series(folder / "series").iterdir():
        dataset = dcmread(file)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(file)
    (folder / "many").mkdir()
    for index in range(600):
        (folder / "many" / f"{index}.txt").write_text("no image")
    (folder / "cohort").symlink_to(cohort)
    make_bundle(folder / "bundle")
    return folder


@pytest.fixture(scope="module")
def healthytwin(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command as pip installs it: a script that Python runs by its path."""
    script = tmp_path_factory.mktemp("bin") / "healthytwin"
    script.write_text(
        "import sys\nfrom pipelines.cli.app import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
    )
    return [sys.executable, str(script)]


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    """As a user may have it: an empty entry of PYTHONPATH stands for the working directory."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "HEALTHYTWIN_BUNDLE": str(folder / "bundle")}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_imports_nothing_from_its_working_directory(
    healthytwin: list[str], folder: Path, mark: Path, environment: dict[str, str], name: str
) -> None:
    done = subprocess.run([*healthytwin, *COMMANDS[name]], cwd=folder, env=environment, capture_output=True, text=True)
    assert imported(mark) == []
    expected = 4 if "several" in name else 0
    assert done.returncode == expected, done.stderr
    if "-o" in COMMANDS[name]:
        out = folder / COMMANDS[name][COMMANDS[name].index("-o") + 1]
        assert [path for path in (out, *out.rglob("*")) if path.stat().st_mode & 0o077] == [], "not private"


def test_ray_s_workers_import_nothing_from_it(
    healthytwin: list[str], folder: Path, mark: Path, environment: dict[str, str]
) -> None:
    if find_spec("ray") is None:
        pytest.skip("the extra [ray] is not installed: Ray was NOT tested")
    command = [*healthytwin, "reprocess", "scans", "-o", "by-ray", "--engine", "ray", "--workers", "1", "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert imported(mark) == []
    assert json.loads(done.stdout)["jobs"]["done"] == 4, done.stderr


def test_the_receiver_imports_nothing_from_it(
    healthytwin: list[str], folder: Path, mark: Path, environment: dict[str, str]
) -> None:
    command = [*healthytwin, "receive", "inbox", "--allow", "SCANNER", "--port", "18112"]
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "listens" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert imported(mark) == []
    assert not (folder / "inbox").stat().st_mode & 0o077, "not private"


def test_a_program_that_lies_elsewhere_may_use_the_library_there(
    folder: Path, mark: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """Children of the library are safe as well where the program did nothing for it."""
    program = tmp_path / "program.py"
    program.write_text(
        "from data_prep import discover\n"
        "if __name__ == '__main__':\n"
        "    (series,) = discover('series')\n"
        "    print(series.volume().array.shape)\n"
        "    print(len(list(discover('many', workers=2))))\n"
    )
    paths = os.pathsep + environment["PYTHONPATH"]  # read by this Python as the folder, by its children not
    command = [sys.executable, "-P", str(program)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert imported(mark) == []
    assert done.stdout.split("\n")[:2] == ["(40, 48, 10)", "0"], done.stderr
    code = "import sys; from data_prep.child import environment; print(environment()['PYTHONPATH'])"
    inside = {**environment, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=inside, capture_output=True, text=True)
    assert done.stdout.strip() == str(ROOT)


def test_monai_s_command_as_the_documents_give_it(folder: Path, mark: Path, environment: dict[str, str]) -> None:
    config = folder / "bundle" / "configs" / "inference.yaml"
    command = [sys.executable, "-P", "-m", "monai.bundle", "run", "--config_file", str(config)]
    command += ["--dataset_dir", "scans", "--output_dir", "by-monai"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert imported(mark) == []
    assert done.returncode == 0, done.stderr
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "bundles").glob("*/docs/*.md")]:
        assert "python -m monai.bundle" not in page.read_text(), page


def test_matplotlib_s_settings_do_not_come_from_it(folder: Path, environment: dict[str, str]) -> None:
    code = (
        "from data_prep.child import stay_out_of_working_directory as stay; stay()\n"
        "import matplotlib; print(matplotlib.rcParams['text.usetex'])"
    )
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_the_docker_image_starts_safely_in_the_folder_of_the_data() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    (variables,) = [line for line in dockerfile.splitlines() if line.startswith("ENV ")]
    assert "PYTHONSAFEPATH=1" in variables
    assert dockerfile.index("PYTHONSAFEPATH") < dockerfile.index("WORKDIR /data")
