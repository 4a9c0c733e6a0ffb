"""What a person sees while a command runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

_Item = TypeVar("_Item")


def progress_bar() -> Progress:
    """An empty progress bar on standard error, with the time that is left."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[str], None]]:
    """A progress bar on standard error; call what it gives with the name of each case as it is begun.

    Where standard error is no terminal, such as in a log, each case has a line of its own instead.
    """
    if not Console(stderr=True).is_terminal:
        yield _lines(total, what)
        return
    with progress_bar() as bar:
        task = bar.add_task(what, total=total)
        begun = False

        def begin(name: str) -> None:
            nonlocal begun
            bar.update(task, advance=int(begun), description=f"{what} {escape(name)}")
            begun = True

        yield begin
        bar.update(task, completed=total, description=what)


def _lines(total: int, what: str) -> Callable[[str], None]:
    """Writes `examining 3 of 12: NAME` for each case, with the seconds since the beginning."""
    console, started, number = Console(stderr=True, soft_wrap=True), time.monotonic(), 0

    def begin(name: str) -> None:
        nonlocal number
        number += 1
        console.print(f"[{time.monotonic() - started:.0f} s] {what} {number} of {total}: {name}", markup=False)

    return begin


def duration(seconds: float) -> str:
    """A time that is left, as a person says it.

    >>> duration(20), duration(119), duration(4000)
    ('less than a minute', '2 min', '1 h 7 min')
    """
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def counting(items: Iterable[_Item], what: str) -> Iterator[_Item]:
    """The items, their number shown on standard error while they come."""
    with Console(stderr=True).status(what) as status:
        for number, item in enumerate(items, start=1):
            status.update(f"{what}: {number}")
            yield item


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A spinner on standard error; one line where that is no terminal."""
    console = Console(stderr=True, soft_wrap=True)
    if not console.is_terminal:
        console.print(what, markup=False)
    with console.status(what):
        yield


def watch(look: Callable[[], tuple[dict[str, int], list[dict[str, Any]]]], *, seconds: float = 2.0) -> None:
    """A live table on standard error, until no job is pending or running.

    Args:
        look: gives the counts by state, and the jobs that are being worked on.
        seconds: between two looks.
    """
    with Live(console=Console(stderr=True), auto_refresh=False) as live:
        while True:
            counts, running = look()
            live.update(_progress_table(counts, running), refresh=True)
            if not counts["pending"] and not counts["running"]:
                return
            time.sleep(seconds)


def _progress_table(counts: dict[str, int], running: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("state", "jobs", "what"):
        table.add_column(column, justify="right" if column == "jobs" else "left", overflow="fold")
    for state, number in counts.items():
        now = [f"{row['name']} (attempt {row['attempts']})" for row in running] if state == "running" else []
        table.add_row(state, str(number), ", ".join(now))
    return table
