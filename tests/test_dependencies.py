"""The page of the dependencies tells of the versions that are pinned now."""

from __future__ import annotations

import re

from conftest import ROOT


def pinned() -> dict[str, str]:
    """Versions by name, of both environments."""
    text = "".join((ROOT / file).read_text() for file in ("constraints.txt", "pipelines/label/requirements.txt"))
    return {name.lower(): version for name, version in re.findall(r"^([\w.-]+)==([\w.]+)$", text, re.M)}


def told() -> list[tuple[str, str]]:
    """Names and versions in the first two columns of the page's tables."""
    page = (ROOT / "docs" / "reference" / "dependencies.md").read_text()
    rows = re.findall(r"^\| ([\w, .-]+) \| ([\d., ]+) \|", page, re.M)
    return [pair for names, versions in rows for pair in zip(names.split(", "), versions.split(", "), strict=True)]


def test_versions_are_those_that_are_pinned() -> None:
    known = {**pinned(), "monailabel": "0.8.5"}
    assert len(told()) > 30
    assert [(name, version) for name, version in told() if known.get(name.lower()) != version] == []
