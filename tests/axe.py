"""axe-core, which finds what keeps people from using a page; taken from npm once, for the tests alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.report.npm import take

if TYPE_CHECKING:
    from browser import Page

PACKAGE, VERSION, MEMBER = "axe-core", "4.14.1", "package/axe.min.js"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
PLACE = Path(__file__).parent / "axe.min.js"
_RUN = """axe.run(document, {resultTypes: ["violations"], preload: false}).then((found) => JSON.stringify(
  found.violations.map(
  (one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.target.join(" ")).slice(0, 5).join(", ")}`)))"""


def violations(page: Page) -> list[str]:
    """What axe finds wrong with the page that is open; skips where axe is not there."""
    if not PLACE.is_file():
        pytest.skip("axe-core is not there (`make viewer`): NO PAGE IS CHECKED FOR ACCESSIBILITY")
    content = PLACE.read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256, "another axe-core than the pinned one"
    page.evaluate(f"{content.decode()}; true")
    return json.loads(page.evaluate(_RUN))


if __name__ == "__main__":
    print(take(PLACE, package=f"{PACKAGE}@{VERSION}", member=MEMBER, sha256=SHA256))
