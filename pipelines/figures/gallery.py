"""The documentation's gallery of made-up cases, with the README's picture: `python -m pipelines.figures.gallery`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipelines.detect.demo import examine_cohort
from pipelines.machine.files import writable_folder, write_whole
from pipelines.report.cases import chance, verdict
from pipelines.report.result import Result

_TEXT = """# Gallery of made-up cases

No patient is on this page. A program made these heads from an anatomical template, and planted the lesions (blue,
dashed). What HealthyTwin outlined is orange. They are the cases of `healthytwin demo`, as its report shows them;
`make gallery` makes this page again. They show what a report looks like, not how good a detector is: for that, see
[Results](reference/results.md).
"""


def write_gallery(docs: Path) -> Path:
    """Write `gallery.md`, `gallery/<case>.png`, and `demo.png`, the first case.

    Args:
        docs: folder of the documentation.
    """
    with tempfile.TemporaryDirectory(prefix="healthytwin-") as scratch:
        _, results = examine_cohort(Path(scratch) / "demo")
    pictures = writable_folder(docs / "gallery")
    for result in results:
        if result.picture is not None:
            write_whole(pictures / f"{result.record.case}.png", result.picture)
    if results and results[0].picture is not None:
        write_whole(docs / "demo.png", results[0].picture)
    return write_whole(docs / "gallery.md", page(results))


def page(results: Sequence[Result]) -> str:
    """The page as Markdown, a section for each case."""
    return "\n".join([_TEXT, *(_section(result) for result in results if result.finding is not None)])


def _section(result: Result) -> str:
    finding, truth = result.finding, result.record.truth
    assert finding is not None
    name = result.record.case
    planted = (
        [f"a planted lesion of {lesion.volume_ml:.1f} ml, {lesion.outcome}" for lesion in truth.lesions]
        if truth
        else []
    )
    about = " and ".join(planted) or "no lesion"
    alt = f"{name}, {about}. {verdict(finding)}"
    lines = [
        f"## {name}: {about}",
        "",
        f"![{alt}](gallery/{name}.png)",
        "",
        f"{verdict(finding)}. Score {finding.score:.2f}. {chance(finding)}",
    ]
    if truth is not None and truth.dice is not None:
        lines[-1] += f" Dice of the outline with the planted lesion: {truth.dice:.2f}."
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.stdout.write(f"{write_gallery(Path(sys.argv[1] if len(sys.argv) > 1 else 'docs'))}\n")
