"""A ledger in PostgreSQL, and two coordinators with two workers each."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from pipelines.reprocess.ledger.ledger import Ledger, State
from pipelines.reprocess.run import reprocess
from tests.soak.bundle import make_bundle
from tests.soak.campaign import SITE, Coordinator, make_studies
from tests.soak.invariants import count
from tests.soak.killing import MET

STUDIES = 16
NOBODY = 65534  # PostgreSQL refuses to run as root


@pytest.fixture
def server() -> Iterator[str]:
    """URL of a server of its own that listens at a socket in a folder, and at no address."""
    pytest.importorskip("psycopg", reason="the extra [postgres] is not installed")
    if shutil.which("initdb") is None:
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="htpg-"))  # a socket's path may not be long
    root = os.geteuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if root else {}

    def command(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True, cwd=folder, **user)

    command("initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust")
    options = f"-c listen_addresses= -c unix_socket_directories={folder}"
    command("pg_ctl", "-D", str(folder / "data"), "-w", "-l", str(folder / "log"), "-o", options, "start")
    yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
    command("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop")
    shutil.rmtree(folder)


def results(ledger: Ledger) -> dict[str, tuple[object, ...]]:
    found = {row["key"]: (row["score"], row["lesions"], row["volume_ml"]) for row in ledger.rows(State.DONE)}
    ledger.close()
    return found


def test_two_hosts_on_one_ledger_give_what_one_gives(tmp_path: Path, server: str) -> None:
    make_studies(tmp_path / "source", STUDIES)
    make_bundle(tmp_path / "bundle")
    (tmp_path / "site.yaml").write_text(f"{SITE}ledger: {server}\n")
    hosts = [Coordinator(tmp_path, target="meet_first", chance=chance) for chance in (0.0, 0.05)]
    assert [host.process.wait() for host in hosts] == [0, 0], (tmp_path / "coordinator.log").read_text()
    found = asdict(count(tmp_path / "archive", STUDIES, url=server))
    assert {name: found[name] for name in ("lost", "twice", "partial", "leftovers", "doubled")} == dict.fromkeys(
        ("lost", "twice", "partial", "leftovers", "doubled"), 0
    )
    shared = Ledger.of(tmp_path / "archive", server)
    assert len({attempt["owner"] for attempt in shared.history()}) >= MET
    (tmp_path / "local.yaml").write_text(SITE)
    reprocess(tmp_path / "source", tmp_path / "other", bundle=tmp_path / "bundle", site=tmp_path / "local.yaml")
    assert results(shared) == results(Ledger.of(tmp_path / "other"))
