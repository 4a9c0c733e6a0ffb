"""In CI a test that would be skipped for want of a server fails; a newcomer's `make test` skips it, and says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from tests.skips import VARIABLE, fault

ONE = """
import pytest

def test_server():
    pytest.skip("PostgreSQL is not installed")

def test_data():
    pytest.skip("no patient data at x; set HEALTHYTWIN_DATA")

@pytest.mark.skipif(True, reason="no Chromium on this machine")
def test_browser():
    pass

@pytest.mark.xfail(reason="known")
def test_known():
    raise AssertionError
"""


@pytest.mark.parametrize(
    ("ci", "counts"), [("", "3 skipped, 1 xfailed"), ("1", "1 failed, 1 skipped, 1 xfailed, 1 error")]
)
def test_what_a_skip_is(tmp_path: Path, ci: str, counts: str) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_one.py").write_text(ONE)
    (tmp_path / "test_all.py").write_text("import pytest\npytest.importorskip('no_such_server', reason='no server')\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_one.py"]
    environment = {**os.environ, VARIABLE: ci, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert counts in done.stdout
    done = subprocess.run([*command[:-1], "test_all.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ("1 error" if ci else "1 skipped") in done.stdout


def test_ci_lets_nothing_be_missing() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert f"export {VARIABLE}=1" in script
    assert "||" not in "".join(line for line in script.splitlines() if line.startswith("make ")), (
        "no step is passed over"
    )


def test_only_ci_minds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert fault("PostgreSQL is not installed") == ""
    monkeypatch.setenv(VARIABLE, "1")
    assert "PostgreSQL" in fault("PostgreSQL is not installed")
