"""`Headway`: how far a run has come, and how much time is left, on standard error."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from pipelines.reprocess.ledger.ledger import State
from pipelines.reprocess.plan import Task
from pipelines.terminal.progress import duration

_NAMED = 3  # cases that are named as under way


class Headway:
    """Counts the cases of a run: a bar on a terminal; in a log, a line for each case that was worked on.

    Args:
        total: gives the number of cases of the source; None while that is not known.
        current: gives the names of the cases that are under way.
        console: on standard error; None: a new one.
        clock: seconds.
    """

    def __init__(
        self,
        total: Callable[[], int | None],
        current: Callable[[], list[str]],
        *,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._current, self._clock = total, current, clock
        self._console = console or Console(stderr=True, soft_wrap=True)
        self._started = clock()
        self._bar: Progress | None = None
        self.known = 0  # cases that were finished or quarantined before this run
        self.worked: Counter[State] = Counter()  # what this run came to

    @contextmanager
    def shown(self) -> Iterator[Headway]:
        """Show it until the end; in a log, the sum comes last."""
        if self._console.is_terminal:
            words = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            with Progress(*words, console=self._console) as self._bar:
                self._bar.add_task("reading the source", total=None)
                yield self
            return
        yield self
        if self.known or self.worked:
            before = [f"{self.known} done before"] if self.known else []
            self._print(f"{self.count} cases: {', '.join([*before, *([self._sums()] if self.worked else [])])}")

    def note(self, task: Task, state: State, known: bool) -> None:
        """Take a case in.

        Args:
            task: the case.
            state: that it came to, or was found in.
            known: it was found in that state, and nothing was done.
        """
        self.known += known
        self.worked[state] += not known
        if self._bar is None and not known:
            total = self._total()
            place = f"{self.count}" if total is None else f"{self.count} of {total}"
            self._print(", ".join([f"case {place}: {task.job.name} {state.value}", *self._left()]))

    def draw(self, elsewhere: int = 0) -> None:
        """Draw the bar anew.

        Args:
            elsewhere: cases that another run has.
        """
        if self._bar is None:
            return
        names, total = self._current()[:_NAMED], self._total()
        if names:
            now = f"examining {', '.join(names)}"
        elif elsewhere:
            now = f"waiting for {elsewhere} that another run has"
        else:
            now = "reading the source" if total is None else ""
        description = " · ".join(words for words in (self._sums(), *self._left(), now) if words)
        self._bar.update(self._bar.task_ids[0], completed=self.count, total=total, description=description)

    @property
    def count(self) -> int:
        """Cases that nothing is left to do for."""
        return self.known + self.worked.total()

    @property
    def seconds_left(self) -> float | None:
        """At the pace of this run; None while it has none or the number of cases is not known."""
        worked, total = self.worked.total(), self._total()
        if not worked or total is None:
            return None
        return (self._clock() - self._started) / worked * max(0, total - self.count)

    def _left(self) -> list[str]:
        seconds = self.seconds_left
        return [] if seconds is None else [f"{duration(seconds)} left"]

    def _sums(self) -> str:
        return ", ".join(f"{number} {state.value}" for state, number in self.worked.items() if number)

    def _print(self, words: str) -> None:
        self._console.print(f"[{self._clock() - self._started:.0f} s] {words}", markup=False, highlight=False)
