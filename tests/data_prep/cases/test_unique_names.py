"""Names of cases: unique, and as quickly given where all files are called alike."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from data_prep import unique_names

MANY = 100_000


@dataclass(frozen=True)
class Named:
    name: str


def seconds(names: list[str]) -> float:
    cases = [Named(name) for name in names]
    runs = []
    for _ in range(3):
        started = time.process_time()
        assert len({case.name.casefold() for case in unique_names(cases)}) == MANY
        runs.append(time.process_time() - started)
    return min(runs)


def test_files_of_one_name_take_no_longer_than_others() -> None:
    different = seconds([f"scan-{number}" for number in range(MANY)])
    assert seconds(["scan"] * MANY) < 1.3 * different + 0.05


@given(st.lists(st.sampled_from(["a", "A", "a-2", "a-3", "b", "run", "a-2-2"])))
def test_no_name_is_given_twice_and_the_first_of_each_keeps_its_own(names: list[str]) -> None:
    unique = [case.name for case in unique_names([Named(name) for name in names])]
    assert len({name.casefold() for name in unique}) == len(names)
    for index, name in enumerate(names):
        if name.casefold() not in {other.casefold() for other in names[:index]} and name != "run":
            assert unique[index] == name
