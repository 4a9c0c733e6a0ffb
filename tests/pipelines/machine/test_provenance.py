"""The commit beside a figure is this project's, or unknown."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.machine import provenance

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
OWN = Path(provenance.__file__)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A user's repository, with a commit."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run([*GIT, "commit", "-q", "--allow-empty", "-m", "theirs"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize("place", [".venv/lib/python3.12/site-packages", "vendor", "."])
def test_the_commit_of_a_users_repository_is_not_ours(repository: Path, place: str) -> None:
    file = repository / place / "pipelines" / "machine" / "provenance.py"
    file.parent.mkdir(parents=True)
    shutil.copy(OWN, file)
    assert provenance.commit(file) == "unknown"


def test_a_checkout_gives_its_own(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = repository / "pipelines" / "machine" / "provenance.py"
    file.parent.mkdir(parents=True)
    shutil.copy(OWN, file)
    subprocess.run(["git", "add", "."], cwd=repository, check=True)
    subprocess.run([*GIT, "commit", "-q", "-m", "ours"], cwd=repository, check=True)
    ours = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True)
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as a hook of git sets it
    assert provenance.commit(file) == ours.stdout[:12]
    file.write_text("changed")
    assert provenance.commit(file) == f"{ours.stdout[:12]}-dirty"


def test_outside_a_checkout_it_is_unknown(tmp_path: Path) -> None:
    assert provenance.commit(tmp_path / "pipelines" / "machine" / "provenance.py") == "unknown"
