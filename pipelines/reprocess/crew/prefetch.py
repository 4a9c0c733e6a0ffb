"""`Prefetch`: an iterator that is worked through by a thread, a bounded number of items before they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_LOOK = 0.2  # seconds between looks at whether anybody still wants more


class Prefetch(Generic[_Item]):
    """Items of an iterable, made by a thread.

    Args:
        items: the iterable; what it raises, `take` raises.
        most: how many wait at once.
    """

    def __init__(self, items: Iterable[_Item], *, most: int) -> None:
        self.over = False  # nothing comes any more
        self._queue: Queue[_Item | BaseException | None] = Queue(most)
        self._wanted = True
        self._thread = threading.Thread(target=self._make, args=(items,), daemon=True)
        self._thread.start()

    def take(self) -> _Item | None:
        """The next item; None where there is none yet, or `over`."""
        if self.over:
            return None
        try:
            item = self._queue.get_nowait()
        except Empty:
            return None
        if isinstance(item, BaseException):
            self.over = True
            raise item
        self.over = item is None
        return item

    def close(self) -> None:
        """Make no more."""
        self._wanted = False
        self._thread.join()

    def _make(self, items: Iterable[_Item]) -> None:
        try:
            for item in items:
                if not self._put(item):
                    return
        except BaseException as error:
            self._put(error)
        else:
            self._put(None)

    def _put(self, item: _Item | BaseException | None) -> bool:
        while self._wanted:
            try:
                self._queue.put(item, timeout=_LOOK)
            except Full:
                continue
            return True
        return False
