"""The draw of a subject: everything comes from the generator."""

import numpy as np
import pytest

from data_prep.demo import draw_lesion, draw_subject


def test_the_same_generator_draws_the_same_subject():
    one, two, other = (draw_subject(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_heads_have_the_size_of_heads():
    subjects = [draw_subject(np.random.default_rng(seed)) for seed in range(200)]
    widths = np.array([subject.size[0] for subject in subjects]) * 160  # the template's skull, mm
    assert widths.min() > 125
    assert widths.max() < 175


@pytest.mark.parametrize(("kind", "volume_ml"), [("grey", 4), ("bright", 0), ("bright", float("nan"))])
def test_impossible_lesions_are_refused(kind, volume_ml):
    with pytest.raises(ValueError, match="must be"):
        draw_lesion(np.random.default_rng(0), kind, volume_ml)


def test_a_dark_lesion_is_darker_than_brain_and_a_bright_one_brighter():
    for seed in range(50):
        assert draw_lesion(np.random.default_rng(seed), "dark", 5).level < 0.75
        assert draw_lesion(np.random.default_rng(seed), "bright", 5).level > 1.5
