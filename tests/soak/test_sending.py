"""The short form of the soak with Orthanc: coordinators that are killed while they send, and every object once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.reprocess.crew.worker import STAGES
from tests import orthanc
from tests.soak.__main__ import arguments
from tests.soak.sending_round import KILLS, STUDIES

ROOT = Path(__file__).resolve().parents[2]
SEGMENTATIONS = 13  # every fifth study has an empty mask
CLEAN = {"missing": 0, "doubled": 0, "strangers": 0, "altered": 0, "unconfirmed": 0}


def test_kills_while_sending_double_nothing_in_orthanc(isolated: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*isolated, sys.executable, "-m", "tests.soak.sending_round", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["code"], told["sending"]) == (0, KILLS), (tmp_path / "coordinator.log").read_text()
    assert told["in_doubt"] > 0, "no kill hit between an object's arrival and the ledger's word of it"
    assert {path.name for path in (tmp_path / "kills").iterdir()} == {f"stage {stage}" for stage in STAGES}
    assert told["count"].pop("attempts") > STUDIES
    assert told["count"] == {"done": STUDIES, "lost": 0, "twice": 0, "partial": 0, "leftovers": 0, "doubled": 0}
    assert told["stored"] == {"segmentations": SEGMENTATIONS, "reports": STUDIES, **CLEAN}
    assert told["doubled"] == {**told["stored"], "doubled": 1, "altered": 1}


def test_orthanc_never_listens_in_the_machine_s_own_network(tmp_path: Path) -> None:
    if orthanc.is_isolated():
        pytest.skip("this machine has no network")
    with pytest.raises(RuntimeError, match="own network"):
        orthanc.start(tmp_path)


def test_a_soak_without_orthanc_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(orthanc, "is_isolated", lambda: False)
    monkeypatch.setattr(orthanc, "missing", lambda: "Orthanc is not installed")
    monkeypatch.setattr(sys, "argv", ["soak"])
    assert arguments().orthanc is False
    assert "NOTHING IS SENT TO ORTHANC IN THIS SOAK: Orthanc is not installed" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["soak", "--orthanc"])
    with pytest.raises(SystemExit, match="2"):
        arguments()
    monkeypatch.setattr(orthanc, "missing", lambda: "")
    assert arguments().orthanc is True
