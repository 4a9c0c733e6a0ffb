"""End to end with a real Orthanc, which listens at every address and therefore runs in a network of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.soak.bundle import make_bundle

ROOT = Path(__file__).resolve().parents[3]
SLICES = 10


def run(isolated: list[str], script: str, *arguments: str) -> dict[str, Any]:
    """What a script beside this file finds, in a network of its own."""
    paths = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "pipelines")]
    done = subprocess.run(
        [*isolated, sys.executable, str(Path(__file__).with_name(script)), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_studies_in_and_results_back(isolated: list[str], tmp_path: Path) -> None:
    told = run(isolated, "orthanc_round_trip.py", str(tmp_path), str(make_bundle(tmp_path / "bundle")))
    assert told["given"] == told["before"] == 2 * SLICES
    after = 2 * SLICES + 3  # a segmentation and two reports
    sent = {"sent": 3}
    ended = {"done": 2, "sent": sent, "in_orthanc": after, "not_fetched": 0, "exit": 0}
    assert told["first"] == {"examined": 2, **ended}
    assert told["again"] == {"examined": 0, **ended}
    assert told["anew"] == {"examined": 2, **ended}
    assert told["apart_mm"] < 1e-3
    assert told["down"]["done"] == 1
    assert told["down"]["sent"] == {"waiting": 2}
    assert "does not answer" in told["down"]["problem"]
    assert told["up"] == {"examined": 0, "sent": {"sent": 2}, "in_orthanc": after}


def test_storage_commitment_and_tls(isolated: list[str], tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    told = run(isolated, "orthanc_secure.py", str(tmp_path))
    assert told["plain"] == {
        "sent": SLICES,
        "committed": [[True, "committed"]],
        "lost": [[False, "storage commitment failed: 0x0112"]],  # no such object instance
    }
    assert told["secure"] == {"sent": SLICES, "there": SLICES, "back": 200, "received": SLICES}
