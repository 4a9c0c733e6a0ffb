"""End to end with a real Orthanc, which listens at every address and therefore runs in a network of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.soak.bundle import make_bundle

ROOT = Path(__file__).resolve().parents[3]
SLICES = 10


def test_studies_in_and_results_back(isolated: list[str], tmp_path: Path) -> None:
    paths = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "pipelines")]
    script = str(Path(__file__).with_name("orthanc_round_trip.py"))
    done = subprocess.run(
        [*isolated, sys.executable, script, str(tmp_path), str(make_bundle(tmp_path / "bundle"))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
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
