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
        p_value: as it is shown: "at most" the smallest possible one where no healthy scan scores as high.
        chance: the p-value in words.
    """

    result: Result
    words: str
    p_value: str
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
    healthy, higher = finding.calibration_cases, _higher(finding)
    if higher == 0:
        return f"Above all {healthy} healthy calibration scans."
    return f"{higher} of the {healthy} healthy calibration scans score{'s' if higher == 1 else ''} as high or higher."


def p_value(finding: Finding) -> str:
    """The p-value as a number; where no healthy scan scores as high it is an upper bound."""
    return f"{'' if _higher(finding) else 'at most '}{finding.p_value:.2g}"


def _higher(finding: Finding) -> int:
    """How many healthy calibration scans score as high or higher."""
    return round(finding.p_value * (finding.calibration_cases + 1)) - 1


def _shown(result: Result) -> Shown:
    finding = result.finding
    assert finding is not None
    return Shown(result=result, words=verdict(finding), p_value=p_value(finding), chance=chance(finding))


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
