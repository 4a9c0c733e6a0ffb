"""Studies behind DICOMweb: a real Orthanc, which listens at every address, in a network of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_studies_of_a_pacs(isolated: list[str], bright_bundle: Path, tmp_path: Path) -> None:
    paths = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "pipelines"), os.environ.get("PYTHONPATH", "")]
    script = str(Path(__file__).with_name("dicomweb.py"))
    done = subprocess.run(
        [*isolated, sys.executable, script, str(tmp_path), str(bright_bundle)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert "MISSING_SLICES" in told.pop("refused"), "NIfTI that MONAI Label makes of it would tell nothing"
    assert told.pop("apart_mm") < 1e-3
    assert told == {
        "total": 2,
        "same_place": True,
        "abnormal": True,
        "series_known": True,
        "next": True,
        "next_after": True,
        "read_back": True,
    }
