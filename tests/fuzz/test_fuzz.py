"""Five hundred damaged inputs, and that the fuzzer sees what it is there to see."""

import pytest

from tests.fuzz.campaign import run_campaign
from tests.fuzz.runner import Runner
from tests.fuzz.seeds import make_seeds


def test_five_hundred_damaged_inputs_are_read_or_refused(shared_data):
    report = run_campaign(500, seed=1, workers=2, data=shared_data)
    assert report.inputs == 500
    assert not report.findings, [(one.name, one.error) for one in report.findings]
    assert report.peak_mib < 1536
    assert report.codes["read"] > 50  # the damage is small enough to reach the pixels
    assert len(report.codes) > 15


@pytest.fixture
def runner():
    runner = Runner()
    yield runner
    runner.close()


def test_whole_seeds_are_read(runner):
    for name, files in make_seeds(None).items():
        outcome = runner.run(files)
        assert not outcome.error, name
        assert outcome.codes == {"read": 1}, name


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise ValueError('boom')", "ValueError: boom"),
        ("import os; os.kill(os.getpid(), 11)", "ended with -11"),
        ("import time; time.sleep(6)", "took 6"),
        ("bytearray(500 * 2**20)", "a process of"),
    ],
    ids=["exception", "crash", "slow", "memory"],
)
def test_what_must_not_happen_is_seen(tmp_path, monkeypatch, body, error):
    """A `sitecustomize` in the child's path puts a fault into `discover`."""
    monkeypatch.setattr("tests.fuzz.runner.SECONDS", 5.0)
    monkeypatch.setattr("tests.fuzz.runner.MIB", 500.0)
    (tmp_path / "sitecustomize.py").write_text(
        "import data_prep.find.discovery as home\n"
        "from pathlib import Path\n"
        "whole = home.discover\n"
        "def faulty(folder, **options):\n"
        "    if any(Path(folder).iterdir()):\n"
        f"        {body}\n"
        "    yield from whole(folder, **options)\n"
        "home.discover = faulty\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    runner = Runner()
    try:
        outcome = runner.run({"IM1": b"nothing"})
        assert error in outcome.error
    finally:
        runner.close()


def test_the_same_seed_makes_the_same_inputs():
    from tests.fuzz.campaign import _damaged

    seeds = make_seeds(None)
    one, two, three = (list(_damaged(seeds, 40, seed)) for seed in (3, 3, 4))
    assert one == two
    assert one != three
