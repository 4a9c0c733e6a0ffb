"""A device that cannot be had is refused before torch is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.machine.device import check_device
from pipelines.problems import CommandError


@pytest.mark.parametrize("device", ["tpu", "cuda0", "gpu", "cuda:x", ""])
def test_no_such_device(device: str) -> None:
    with pytest.raises(CommandError, match=r"not a device; use cpu, cuda, cuda:1 or mps"):
        check_device(device)


@pytest.mark.skipif(sys.platform != "linux", reason="drivers are looked for on Linux")
def test_a_gpu_needs_its_driver(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="this machine has no GPU driver"):
        check_device("cuda:1", drivers=(tmp_path / "nvidiactl",))
    (tmp_path / "nvidiactl").touch()
    check_device("cuda:1", drivers=(tmp_path / "nvidiactl",))
    check_device("cpu", drivers=())


@pytest.mark.parametrize(
    "words",
    [["--device", "tpu"], ["--bundle", "brain"], ["--calibration", "nowhere.json"]],
)
def test_wrong_input_is_answered_without_torch(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "scan.nii").write_bytes(b"")
    script = (
        "import sys\nfrom typer.testing import CliRunner\nfrom pipelines.cli.app import app\n"
        "done = CliRunner().invoke(app, sys.argv[1:])\n"
        "print(done.exit_code, 'torch' in sys.modules, len(done.stderr.strip().splitlines()))"
    )
    command = [sys.executable, "-c", script, "detect", "scan.nii", "-o", "out", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=_here())
    assert done.stdout.split() == ["2", "False", "1"]


def _here() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
