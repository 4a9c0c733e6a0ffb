"""Every public name has a docstring and a place on a page, and what is published of a finding is what we write."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from anomaly import Finding

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference" / "api"
ROOMS = {
    "anomaly": [
        "anomaly",
        *(f"anomaly.{part}" for part in ("engines", "metrics", "networks", "scoring", "synthesis")),
        "anomaly.methods.anomalib_model",
    ],
    "data_prep": ["data_prep", "data_prep.demo", "data_prep.heads"],
}
NAMES = [
    (room, module, name)
    for room, modules in ROOMS.items()
    for module in modules
    for name in import_module(module).__all__
]


def described(room: str) -> list[str]:
    """The dotted names that a page of the reference describes."""
    return re.findall(r"^::: (\S+)$", (PAGES / f"{room}.md").read_text(), re.MULTILINE)


def resolve(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    return getattr(import_module(module), name)


@pytest.mark.parametrize(("room", "module", "name"), NAMES)
def test_every_public_name_is_explained(room: str, module: str, name: str) -> None:
    thing = getattr(import_module(module), name)
    if inspect.isclass(thing) or inspect.isroutine(thing):
        assert (thing.__doc__ or "").strip(), f"{module}.{name} has no docstring"
    found = [dotted for dotted in described(room) if dotted.endswith(f".{name}")]
    assert any(resolve(dotted) is thing for dotted in found), f"{module}.{name} is not in docs/reference/api/{room}.md"


def test_the_pages_describe_nothing_that_is_gone() -> None:
    public = {name for _, _, name in NAMES}
    assert [dotted for room in ROOMS for dotted in described(room) if dotted.rpartition(".")[2] not in public] == []


def test_the_published_schema_is_that_of_findings() -> None:
    published = json.loads((ROOT / "docs" / "reference" / "finding.schema.json").read_text())
    assert published == Finding.model_json_schema(), "make schema writes it again"


def test_every_page_is_found_from_the_first() -> None:
    index = ROOT / "docs" / "index.md"
    seen, waiting = set(), [index]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        links = re.findall(r"\]\((?!https?://)([^)#\s]+)", page.read_text())
        waiting += [(page.parent / link).resolve() for link in links]
    assert sorted(set((ROOT / "docs").rglob("*.md")) - seen) == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason='needs pip install -e ".[docs]"')
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "load_detector" in (tmp_path / "reference" / "api" / "anomaly" / "index.html").read_text()
