"""Which bundle examines a case: what is said of it, then what it looks like; --bundle overrides."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data_prep.heads import look
from data_prep.heads.look import Look
from pipelines.bundles import VARIABLE
from pipelines.detect import choice
from pipelines.detect.choice import ANY_SEQUENCE, Detectors, choose, chosen_for_each

VOLUME: Any = SimpleNamespace(array=None, spacing=(1.0, 1.0, 5.0))
THIN: Any = SimpleNamespace(array=None, spacing=(1.0, 1.0, 2.0))


def case(name: str = "scan", sequence: str | None = None) -> Any:
    return SimpleNamespace(name=name, series=None if sequence is None else SimpleNamespace(sequence=sequence))


@pytest.fixture(autouse=True)
def _bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "by_name", Path)
    monkeypatch.setattr(choice, "shipped_bundle", lambda: Path("flair"))


@pytest.mark.parametrize(
    ("one", "seen", "bundle", "reason"),
    [
        (
            case(sequence="T2 TIRM TRA DARK FLUID"),
            Look(flair=0.1, skull=0.9),
            "flair",
            "its header says FLAIR, with its skull, slices thick",
        ),
        (case("sub-01_FLAIR"), Look(flair=0.1, skull=0.1), ANY_SEQUENCE, "its name says FLAIR, without its skull"),
        (case("sub-01_T1w"), Look(flair=0.9, skull=0.9), ANY_SEQUENCE, "its name says T1W, with its skull"),
        (case("scan", ""), Look(flair=0.9, skull=0.9), "flair", "it looks like a FLAIR, with its skull, slices thick"),
        (case(), Look(flair=0.1, skull=0.9), ANY_SEQUENCE, "it looks like another sequence than FLAIR, with its skull"),
        (case(), None, "flair", "it looks like a FLAIR, with its skull, slices thick"),
    ],
)
def test_what_is_said_goes_before_the_look(
    one: Any, seen: Look | None, bundle: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "look_of", lambda *_: seen)
    chosen = choose(one, VOLUME)
    assert (chosen.bundle, chosen.reason) == (Path(bundle), reason)


def test_thin_slices_are_not_what_the_flair_bundle_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "look_of", lambda *_: Look(flair=0.9, skull=0.9))
    assert choose(case(), VOLUME).bundle == Path("flair")
    chosen = choose(case(), THIN)
    assert (chosen.bundle, chosen.reason) == (Path(ANY_SEQUENCE), "it looks like a FLAIR, with its skull, slices thin")


def test_each_bundle_is_loaded_once_and_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Path] = []
    monkeypatch.setattr(look, "look_of", lambda *_: Look(flair=0.1, skull=0.9))
    detectors = Detectors(None, lambda bundle: loaded.append(bundle) or bundle)  # type: ignore[func-returns-value,return-value,arg-type]
    assert [detectors.of(case(name), VOLUME)[0] for name in ("a_t1", "b_flair", "c_t1")] == [
        Path(ANY_SEQUENCE),
        Path("flair"),
        Path(ANY_SEQUENCE),
    ]
    assert loaded == [Path(ANY_SEQUENCE), Path("flair")]


def test_a_bundle_that_is_named_examines_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert chosen_for_each(None)
    assert not chosen_for_each(Path("mine"))
    detectors = Detectors(Path("mine"), lambda bundle: bundle)  # type: ignore[arg-type,return-value]
    assert detectors.of(case("a_t1"), VOLUME) == (Path("mine"), "")
    monkeypatch.setenv(VARIABLE, "mine")
    assert not chosen_for_each(None)
