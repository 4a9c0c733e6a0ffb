"""A part of `make fuzz-headers`: header elements removed, emptied and made illegal, on the way to the outputs."""

import random

import pytest

from tests.fuzz import wrapping

VARIANTS = 300


def test_no_result_is_lost_to_a_header_and_every_failure_has_a_name(shared_data):
    every = wrapping.load(shared_data)
    if not every:
        pytest.skip(f"no series at {shared_data}")
    variants = [variant for series in every.values() for variant in series.variants()]
    random.Random(0).shuffle(variants)
    tally = wrapping.run(every, variants[:VARIANTS])
    assert (tally.lost, tally.unnamed) == ([], [])
    assert tally.complete > VARIANTS / 2
