"""Which of the shipped bundles examines a case, where none was named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.bundles import START_BUNDLE, by_name, is_named, shipped_bundle

if TYPE_CHECKING:
    from anomaly import Detector
    from data_prep import Case, Volume

ANY_SEQUENCE = START_BUNDLE
_FLAIR = frozenset({"FLAIR", "DARK", "TIRM"})
_OTHER = frozenset({"T1", "T1W", "T2", "T2W", "PD", "PDW", "DWI", "SWI", "MPRAGE", "SPGR", "BRAVO", "T2*", "STIR"})
LOOKS_LIKE_FLAIR = 0.3  # probability; lower than a half, since few FLAIR look like nothing else
THICK_MM = 4.0  # from slice to slice


@dataclass(frozen=True)
class Choice:
    """A bundle for a case.

    Args:
        bundle: its folder.
        reason: why this one, for people; "" where it was named.
    """

    bundle: Path
    reason: str = ""


class Detectors:
    """The detectors of a run, each loaded when a case first asks for it.

    Args:
        root: the bundle for all cases; None: each is examined with the shipped one that its look and header ask for.
        load: gives the detector of a bundle.
    """

    def __init__(self, root: Path | None, load: Callable[[Path], Detector]) -> None:
        self.root, self.load = root, load
        self._loaded: dict[Path, Detector] = {}

    def at(self, bundle: Path) -> Detector:
        """The detector of a bundle; asked for before the first case, an error of it is the command's."""
        if bundle not in self._loaded:
            self._loaded[bundle] = self.load(bundle)
        return self._loaded[bundle]

    def of(self, case: Case, volume: Volume) -> tuple[Detector, str]:
        """The detector for a case, and why it is this one."""
        choice = choose(case, volume) if self.root is None else Choice(self.root)
        return self.at(choice.bundle), choice.reason


def chosen_for_each(option: Path | None) -> bool:
    """Is the bundle chosen case by case: none is named, and there is more than one for heads?"""
    return option is None and not is_named() and by_name(ANY_SEQUENCE) is not None


def choose(case: Case, volume: Volume) -> Choice:
    """The shipped bundle for a head: that for FLAIR where it is one in thick slices with its skull, else the other.

    What the header or the file's name says of the sequence goes before the look. The FLAIR bundle learned from thick
    slices with the skull, and finds lesions in such better; in thin ones it outlines far too much.
    """
    from data_prep.heads.look import look_of

    flair, why = _said(case)
    look = look_of(volume.array, volume.spacing)
    if flair is None:
        flair = look is None or look.flair >= LOOKS_LIKE_FLAIR
        why = f"it looks like {'a FLAIR' if flair else 'another sequence than FLAIR'}"
    skull = look is None or look.skull >= 0.5
    whole = "with its skull" if skull else "without its skull"
    other = by_name(ANY_SEQUENCE)
    thick = max(volume.spacing) >= THICK_MM
    why = f"{why}, {whole}" + (f", slices {'thick' if thick else 'thin'}" if flair and skull else "")
    return Choice(shipped_bundle() if other is None or (flair and skull and thick) else other, why)


def _said(case: Case) -> tuple[bool | None, str]:
    """What header or name say: is it a FLAIR? None where they say nothing."""
    from data_prep.dicom.sequence import known_words

    series = case.series
    in_header = series is not None and bool(series.sequence)
    words = series.sequence if series is not None and in_header else known_words(case.name)
    found = set(words.split())
    source = "its header" if in_header else "its name"
    if found & _FLAIR:
        return True, f"{source} says FLAIR"
    if other := sorted(found & _OTHER):
        return False, f"{source} says {other[0]}"
    return None, ""
