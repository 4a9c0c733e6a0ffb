"""Do new scans look like those that a calibration was made of? Two-sample tests, one a statistic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from anomaly.scoring.calibration import Calibration

SCORE = "score"


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One statistic of new scans against the calibration's healthy ones.

    Args:
        name: `score`, or a key of `anomaly.scoring.appearance`.
        scans: new ones.
        healthy: those of the calibration.
        distance: between the distribution functions, 0 to 1 (Kolmogorov and Smirnov).
        p_value: that samples of one distribution lie so far apart, two-sided.
        higher: is the median of the new ones higher?
    """

    name: str
    scans: int
    healthy: int
    distance: float
    p_value: float
    higher: bool

    def can_tell(self, level: float) -> bool:
        """Are there enough scans that any distance at all could be significant at `level`?"""
        return 2 / math.comb(self.scans + self.healthy, self.scans) <= level


def shifts(
    calibration: Calibration, scores: Sequence[float], appearances: Sequence[Mapping[str, float]]
) -> list[Shift]:
    """Every statistic that the calibration knows, the score first; none where there are no new scans.

    Args:
        calibration: with what it keeps of its scans.
        scores: of the new scans, image level.
        appearances: of the new scans.
    """
    known = {SCORE: calibration.image_scores, **calibration.appearance}
    new = {name: [one[name] for one in appearances if name in one] for name in calibration.appearance}
    new[SCORE] = list(scores)
    return [_shift(name, new[name], healthy) for name, healthy in known.items() if new[name]]


def _shift(name: str, new: Sequence[float], healthy: Sequence[float]) -> Shift:
    from scipy.stats import ks_2samp

    test = ks_2samp(new, healthy)
    return Shift(
        name=name,
        scans=len(new),
        healthy=len(healthy),
        distance=round(float(test.statistic), 4),
        p_value=float(test.pvalue),
        higher=bool(np.median(new) > np.median(healthy)),
    )
