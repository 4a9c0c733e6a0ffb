"""Phrases that readers stumbled over are in no document, page, message or docstring; each has a better one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BETTER = {
    "it says something, but nothing of worth": "its output is not meaningful there",
    "in goes": "Input",
    "out come": "Output",
    "is no image": "is not an image",
    "tell what series there are": "List the series found",
    "whether each would be accepted, and why not": "and whether each would be accepted, and if not, why",
    "would it be accepted, and why not": "would it be accepted, and if not, why",
    "goes on where it was stopped": "Resumes where it stopped",
    "settings of the site": "Site settings",
    "of the site, by `calibrate`": "Site calibration written by `calibrate`",
    '"whose weights': "Bundle to calibrate",
    "validations, and rests to resume from": "Epochs; each ends with a validation and a checkpoint",
    "named twice": "repeat a name",
    "twice named": "repeat a name",
    "address to listen at": "Address to listen on",
    "gb of the disk that stay free": "Disk space to keep free, GB",
    "one row a job": "one row per job",
    "scans can be learned from": "no usable training scans",
    "all that is needed works": "everything required works",
    "1 threads": "1 thread",
    "cases would do": "at least N are needed",
    "stopped by the user": "Stopped.",
    "the same command does the rest": "run the same command to continue",
    "what is not outlined is not thereby healthy": "An area without an outline is not necessarily healthy",
    "no difference that chance does not explain": "no significant difference",
    "the same in numbers": "Machine-readable results",
    "what helps": "Suggested fix",
    "mend the datalist": "Fix the datalist",
    "who is ill": "who has a lesion",
    "somebody tried it": "We tried it",
    "is worth hearing": "is useful evidence",
}
TEXTS = [
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "bundles/*/docs/*.md",
        "anomaly/**/*.py",
        "data_prep/**/*.py",
        "pipelines/**/*.py",
    )
    for path in sorted(ROOT.glob(pattern))
    if path.name != "CHANGELOG.md"  # of what was
] + sorted((ROOT / "pipelines" / "report" / "templates").glob("*.j2"))


def words(path: Path) -> str:
    return " ".join(path.read_text(encoding="utf-8").lower().split())


@pytest.mark.parametrize("phrase", BETTER)
def test_no_phrase_that_readers_stumbled_over(phrase: str) -> None:
    found = re.compile(rf"(?<!\w)(?<!there ){re.escape(phrase)}(?!\w)")  # "there is no image" is English
    pages = [str(path.relative_to(ROOT)) for path in TEXTS if found.search(words(path))]
    assert pages == [], f"better: {BETTER[phrase]}"


def test_there_is_something_to_read() -> None:
    assert len(TEXTS) > 200


def test_the_glossary_is_in_order_and_explains_each_word_once() -> None:
    page = (ROOT / "docs" / "reference" / "glossary.md").read_text()
    named = re.findall(r"^\| ([a-z][\w -]*)(?:, [a-z]+)? \| [A-Z]", page, re.MULTILINE)
    assert len(named) > 25
    assert named == sorted(named)
    assert {"case", "scan", "series", "lesion", "region", "finding", "bundle", "archive"} <= set(named)
