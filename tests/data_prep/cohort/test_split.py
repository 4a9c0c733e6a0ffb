"""No patient in two sections, nobody ill in training."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import InputError
from data_prep.cohort.found import Found
from data_prep.cohort.leakage import Entry, check_leakage
from data_prep.cohort.split import draw_sections


def scan(patient, *, number=0, **more):
    return Found(name=f"{patient}-{number}", image=Path(f"{patient}-{number}.nii"), patient=patient, **more)


PEOPLE = st.dictionaries(st.text("abcdef0123456789", min_size=1, max_size=6), st.sampled_from("ABC"), max_size=60)


@given(PEOPLE, st.integers(0, 9), st.randoms(use_true_random=False))
def test_everyone_once_in_the_shares_asked_for_whatever_the_order(people, seed, random):
    scans = [scan(patient, number=n, site=site) for patient, site in people.items() for n in range(2)]
    sections = draw_sections(scans, seed=seed)
    assert set(sections) == set(people)
    counts = Counter(sections.values())
    for section, share in (("training", 0.7), ("validation", 0.15), ("test", 0.15)):
        assert abs(counts[section] - share * len(people)) < 2
    random.shuffle(scans)
    assert draw_sections(scans, seed=seed) == sections


def test_each_site_is_divided_alike_and_another_seed_divides_otherwise():
    scans = [scan(f"{site}{n}", site=site) for site in "AB" for n in range(40)]
    one, two = draw_sections(scans, seed=0), draw_sections(scans, seed=1)
    for site in "AB":
        assert abs(sum(one[f"{site}{n}"] == "training" for n in range(40)) - 28) <= 1
    assert one != two
    assert Counter(one.values()) == Counter(two.values())


def test_the_ill_are_tested_with_all_their_scans():
    scans = [scan("a", healthy=False), scan("a", number=1, healthy=True), scan("b"), scan("b", number=1), scan("c")]
    sections = draw_sections(scans, ["b-1"], shares=(1.0, 0.0, 0.0))
    assert sections == {"a": "test", "b": "test", "c": "training"}


def test_given_sections_stay_or_are_refused():
    scans = [scan("a", section="validation"), scan("b", section="training"), scan("c", section="test", healthy=False)]
    assert draw_sections(scans) == {"a": "validation", "b": "training", "c": "test"}
    with pytest.raises(InputError, match="a is in validation and in test"):
        draw_sections([*scans, scan("a", number=1, section="test")])
    with pytest.raises(InputError, match=r"b-0 is ill, and in training \[LEAKAGE\]"):
        draw_sections(scans, ["b-0"])
    ill = scan("d", section="training", healthy=False, meta={"healthy_slices": [[0, 4]]})
    assert draw_sections([ill]) == {"d": "training"}


@pytest.mark.parametrize(("patient", "voxels", "what"), [("1", "x", "the patient"), ("2", "h", "the voxels")])
def test_leakage_names_both_scans(patient, voxels, what):
    first = Entry("one.nii", "training", "1", "h")
    check_leakage([first, Entry("two.nii", "training", patient, voxels), Entry("three.nii", "test", "3", "y")])
    with pytest.raises(InputError, match=f"two.nii: test has {what} of one.nii, which is in training"):
        check_leakage([first, Entry("two.nii", "test", patient, voxels)])
