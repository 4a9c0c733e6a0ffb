"""Made-up heads: a bleed is 35 HU brighter, and a lesion of T1 or FLAIR shows in the one alone."""

import numpy as np
import pytest

from data_prep.demo.head_map import demo_head
from pipelines.figures.made_heads import BLEED_HU, _scans


@pytest.fixture(scope="module")
def head():
    return demo_head()


def pair(kind, head, lesion):
    """The same head healthy and ill, and the lesion's mask."""
    made = [_scans(kind, head, np.random.default_rng(3), ill=ill, lesion=lesion) for ill in (False, True)]
    assert not made[0][1].any()
    return made[0][0], made[1][0], made[1][1]


def test_a_bleed_is_35_hu_brighter_than_the_same_head(head):
    (healthy,), (ill,), mask = pair("bleed", head, 0)
    assert mask.sum() > 20
    change = (ill - healthy)[mask]
    assert BLEED_HU / 2 < change.mean() < BLEED_HU + 2
    assert np.abs((ill - healthy)[~mask]).max() < BLEED_HU / 2 + 2
    assert healthy.min() < -900
    assert healthy.max() > 400


@pytest.mark.parametrize("lesion", [0, 1])
def test_a_lesion_shows_in_one_of_the_two_alone(head, lesion):
    healthy, ill, mask = pair("two", head, lesion)
    seen = [np.abs(other - one)[mask].mean() > 20 for one, other in zip(healthy, ill, strict=True)]
    assert seen == [lesion == 0, lesion == 1]
