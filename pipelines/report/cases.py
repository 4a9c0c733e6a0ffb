"""Cases as a report shows them: the result in words, pictures, and volumes for the viewer within a bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anomaly import Finding
    from pipelines.report.result import Result
    from pipelines.report.viewer import Scripts

_MOST_BYTES = 24_000_000  # of a page; volumes for the viewer are left out beyond it


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One case.

    Args:
        result: with its finding.
        words: the result in words.
        chance: the p-value in words.
    """

    result: Result
    words: str
    chance: str


def show(results: Sequence[Result], scripts: Scripts | None) -> list[Shown]:
    """The cases that have a finding.

    Those with the lowest scores go without the viewer's volumes where the page would grow too large, all where there is
    no viewer.

    Args:
        results: in the order of the page.
        scripts: of the viewer.
    """
    done = [result for result in results if result.finding is not None]
    viewed = _within(done, scripts.size) if scripts is not None else set()
    return [_shown(result if index in viewed else replace(result, volumes=None)) for index, result in enumerate(done)]


def verdict(finding: Finding) -> str:
    """The result in words. An empty mask is a normal result."""
    regions = f"{len(finding.lesions)} region{'s' if len(finding.lesions) != 1 else ''} outlined"
    if finding.abnormal:
        return f"Abnormal: {regions}" if finding.lesions else "Abnormal score, no region to outline"
    return f"Score within the healthy range, {regions}" if finding.lesions else "Nothing abnormal found"


def chance(finding: Finding) -> str:
    """The p-value in words: how many of the healthy calibration scans score as high."""
    healthy = finding.calibration_cases
    higher = round(finding.p_value * (healthy + 1)) - 1
    if higher == 0:
        return f"None of the {healthy} healthy calibration scans scores as high."
    return f"{higher} of the {healthy} healthy calibration scans score{'s' if higher == 1 else ''} as high or higher."


def _shown(result: Result) -> Shown:
    assert result.finding is not None
    return Shown(result=result, words=verdict(result.finding), chance=chance(result.finding))


def _within(results: Sequence[Result], size: int) -> set[int]:
    """Which results keep their volumes, in a page of `size` bytes without them; the highest scores come first."""
    size += sum(_in_base64(len(result.picture or b"")) for result in results)
    viewed = set()
    for index in sorted(range(len(results)), key=lambda index: -_score(results[index])):
        volumes = results[index].volumes
        if volumes is not None and size + _in_base64(volumes.size) <= _MOST_BYTES:
            size += _in_base64(volumes.size)
            viewed.add(index)
    return viewed


def _score(result: Result) -> float:
    return result.finding.score if result.finding is not None else 0.0


def _in_base64(count: int) -> int:
    return 4 * count // 3
