"""`run_campaign`: many inputs through a few runners, and a report of what they did."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.strategies import SearchStrategy

from tests.fuzz.headers import nifti, series
from tests.fuzz.mutations import damage
from tests.fuzz.runner import Outcome, Runner
from tests.fuzz.seeds import Files, make_seeds

_STRUCTURED = 5  # one input of so many is made by hypothesis, the others are real and small files damaged


@dataclass(frozen=True)
class Finding:
    """An input that did what none may do.

    Args:
        name: of the input; the same seed makes it again.
        error: what it did.
        files: the input.
    """

    name: str
    error: str
    files: Files

    def save(self, folder: Path) -> Path:
        """Write the input and what it did to a folder of its own."""
        place = folder / self.name.replace("/", "_")
        (place / "input").mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (place / "input" / name).write_bytes(content)
        (place / "error.txt").write_text(self.error)
        return place


@dataclass
class Report:
    """What a campaign saw."""

    inputs: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str = ""
    peak_mib: float = 0.0
    seconds: float = 0.0

    def add(self, name: str, files: Files, outcome: Outcome) -> None:
        """Take one outcome in."""
        self.inputs += 1
        self.kinds[name.split("/")[0]] += 1
        self.codes.update(outcome.codes)
        if outcome.seconds > self.slowest_s:
            self.slowest_s, self.slowest = outcome.seconds, name
        self.peak_mib = max(self.peak_mib, outcome.peak_mib)
        if outcome.error:
            self.findings.append(Finding(name, outcome.error, files))

    def summary(self) -> dict[str, Any]:
        """As it is written to JSON."""
        return {
            "inputs": self.inputs,
            "findings": [f"{one.name}: {one.error.strip().splitlines()[-1]}" for one in self.findings],
            "slowest_s": round(self.slowest_s, 2),
            "slowest": self.slowest,
            "peak_mib_of_any_process": round(self.peak_mib, 1),
            "seconds": round(self.seconds, 1),
            "inputs_of_each_kind": dict(sorted(self.kinds.items())),
            "series_of_each_code": dict(self.codes.most_common()),
        }


def run_campaign(inputs: int, *, seed: int, workers: int, data: Path | None, progress: bool = False) -> Report:
    """Damage files and read them.

    Args:
        inputs: how many, of which every fifth has a header made by hypothesis.
        seed: the same inputs for the same seed.
        workers: child processes at a time.
        data: folder of real patient data, or None.
        progress: a line on standard error now and then.
    """
    report, lock, started = Report(), threading.Lock(), time.perf_counter()

    def take(name: str, files: Files, outcome: Outcome) -> None:
        with lock:
            report.add(name, files, outcome)
            if progress and report.inputs % 500 == 0:
                rate = report.inputs / (time.perf_counter() - started)
                print(f"{report.inputs} inputs, {rate:.0f}/s, {len(report.findings)} findings", file=sys.stderr)

    structured = inputs // _STRUCTURED
    damaged = _damaged(make_seeds(data), inputs - structured, seed)
    jobs = queue.Queue[tuple[str, Files, bool] | None](maxsize=8)
    with ThreadPoolExecutor(workers) as pool:
        done = [pool.submit(_serve, jobs, take) for _ in range(workers)]
        for job in damaged:
            jobs.put(job)
        for _ in range(workers):
            jobs.put(None)
        for worker in done:
            worker.result()
    _structured(series(), "headers_dicom", structured - structured // 3, seed, take)
    _structured(nifti(), "headers_nifti", structured // 3, seed, take)
    report.seconds = time.perf_counter() - started
    return report


_Take = Callable[[str, Files, Outcome], None]


def _serve(jobs: queue.Queue[tuple[str, Files, bool] | None], take: _Take) -> None:
    """Run what is in the queue, until None."""
    runner = Runner()
    try:
        while (job := jobs.get()) is not None:
            name, files, allow_gaps = job
            take(name, files, runner.run(files, allow_gaps=allow_gaps))
    finally:
        runner.close()


def _damaged(seeds: dict[str, Files], count: int, seed: int) -> Iterator[tuple[str, Files, bool]]:
    """Name, files and whether gaps are allowed; every input depends on the seed and its number alone."""
    names, folders = sorted(seeds), [seeds[name] for name in sorted(seeds)]
    for number in range(count):
        rng = Random(f"{seed}:{number}")
        name = names[number % len(names)]
        yield f"{name}/{number}", damage(seeds[name], folders, rng), rng.random() < 0.25


def _structured(strategy: SearchStrategy[Files], name: str, count: int, seed: int, take: _Take) -> None:
    """What hypothesis makes, one after the other."""
    if not count:
        return
    runner, number = Runner(), iter(range(10**9))

    @seeded(seed)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def read(files: Files) -> None:
        take(f"{name}/{next(number)}", files, runner.run(files))

    try:
        read()
    finally:
        runner.close()
