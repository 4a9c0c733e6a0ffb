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
    [
        ["scan.nii", "--device", "tpu"],
        ["scan.nii", "--bundle", "brain"],
        ["scan.nii", "--calibration", "nowhere.json"],
        ["scan.nii", "--calibration", "scan.nii"],
        ["scan.nii", "--calibration", "other.json"],
        ["notes.txt"],
    ],
    ids=" ".join,
)
def test_wrong_input_is_answered_at_once_and_in_one_line(words: list[str], tmp_path: Path) -> None:
    """Without torch, which alone takes seconds, and without a foreign library's words."""
    (tmp_path / "scan.nii").write_bytes(b"\x5c\x01\0\0" + bytes(1000))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "other.json").write_text('{"alpha": 3}')
    script = (
        "import sys\nfrom typer.testing import CliRunner\nfrom pipelines.cli.app import app\n"
        "done = CliRunner().invoke(app, sys.argv[1:])\n"
        "errors = done.stderr.removeprefix('looking for images').strip()\n"
        "foreign = [word in errors for word in ('pydantic', 'codec')]\n"
        "print(done.exit_code, 'torch' in sys.modules, len(errors.splitlines()), *foreign)"
    )
    command = [sys.executable, "-c", script, "detect", "-o", "out", *words]
    before = os.times()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=_here())
    after = os.times()
    assert done.stdout.split() == ["2", "False", "1", "False", "False"]
    used = after.children_user + after.children_system - before.children_user - before.children_system
    assert used < 1.5, "seconds of a core, which is what the user waits for on an idle machine"


def _here() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
