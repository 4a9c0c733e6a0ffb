"""Studies that are arriving: which are whole, and which wait because an association broke."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.machine.files import sync

ARRIVING = ".arriving"  # hidden: `reprocess` passes it over
_OPEN = ".open"  # in a study's folder: not all its associations have been released
_EARLIER = -1  # associations of an earlier start
_AT_ONCE = 2.0  # seconds; a sender that begins again may be here before the break was noticed


@dataclass
class _Study:
    """When it was last heard of, and the associations that are not released: by number, when they ended."""

    heard: float
    open: dict[int, float | None] = field(default_factory=dict)

    @property
    def is_broken(self) -> bool:
        return any(ended is not None for ended in self.open.values())


class Studies:
    """Studies of an inbox on their way.

    A study is moved to its place when it has been quiet for long enough and every association that brought an image of
    it has been released, with all its images confirmed. One that broke, or was refused an image, holds the study back
    until another one, begun later, brings images of it and is released.

    Args:
        inbox: the folder.
        settle: seconds without an image.
        hold: False: what broke is moved as well, once its association is over.
        clock: monotonic, in seconds.
    """

    def __init__(self, inbox: Path, *, settle: float, hold: bool, clock: Callable[[], float]) -> None:
        self.inbox, self.settle, self.hold, self.clock = inbox, settle, hold, clock
        self.arriving = inbox / ARRIVING
        self.arriving.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._studies: dict[str, _Study] = {}
        for path in self.arriving.iterdir():  # of an earlier start
            if path.is_dir():
                earlier = {_EARLIER: clock()} if (path / _OPEN).exists() else {}
                self._studies[path.name] = _Study(clock(), {**earlier})
            else:
                path.unlink()

    def keep(self, partial: Path, study: str, name: str, association: int) -> None:
        """Put an image into its study; raises OSError."""
        with self._lock:
            folder = self.arriving / study
            folder.mkdir(exist_ok=True, mode=0o700)
            known = self._studies.setdefault(study, _Study(self.clock()))
            if association not in known.open:
                known.open[association] = None
                os.close(os.open(folder / _OPEN, os.O_CREAT | os.O_WRONLY, 0o600))
            partial.replace(folder / name)
            sync(folder)
            known.heard = self.clock()

    def released(self, association: int, *, begun: float) -> None:
        """An association has ended as it should; what had broken before it began is mended by it."""
        with self._lock:
            for name, study in self._studies.items():
                if association not in study.open:
                    continue
                study.open = {
                    number: ended
                    for number, ended in study.open.items()
                    if number != association and (ended is None or ended > begun + _AT_ONCE)
                }
                if not study.open:
                    (self.arriving / name / _OPEN).unlink(missing_ok=True)

    def broken(self, association: int) -> None:
        """An association is over; where it was not released, its studies wait."""
        with self._lock:
            for study in self._studies.values():
                if association in study.open and study.open[association] is None:
                    study.open[association] = self.clock()

    @property
    def held(self) -> int:
        """How many studies wait for their sender."""
        with self._lock:
            return sum(study.is_broken and self._is_quiet(study) for study in self._studies.values())

    def settle_all(self) -> int:
        """Move every study that is whole and quiet to its place; how many."""
        with self._lock:
            ready = [name for name, study in self._studies.items() if self._is_quiet(study) and self._is_whole(study)]
            for name in ready:
                self._move(name)
                del self._studies[name]
        return len(ready)

    def _is_quiet(self, study: _Study) -> bool:
        return self.clock() - study.heard >= self.settle

    def _is_whole(self, study: _Study) -> bool:
        return not study.open or (not self.hold and None not in study.open.values())

    def _move(self, name: str) -> None:
        """Bring a study to its place; images that come late join the others, by content."""
        arriving, place = self.arriving / name, self.inbox / name
        (arriving / _OPEN).unlink(missing_ok=True)
        if not place.exists():
            arriving.rename(place)
        else:
            for image in arriving.iterdir():
                image.replace(place / image.name)
            arriving.rmdir()
            sync(place)
        sync(self.inbox)
