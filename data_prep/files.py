"""Files that are either whole or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial-"  # how the name of a file begins that is being written; hidden, so that no search finds it


@contextmanager
def atomically(path: str | Path) -> Iterator[Path]:
    """A new file beside `path` to write to. At the end it takes that place; on an error nothing has changed.

    Its name cannot be foreseen and it is never opened through a link (O_EXCL, O_NOFOLLOW), so that a link planted in
    the folder leads nowhere; a link at `path` is replaced, not followed. It ends as `path` does, for writers that go
    by a suffix.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomically(f"{folder}/a.json") as partial:
    ...         _ = partial.write_text("{}")
    ...     [path.name for path in Path(folder).iterdir()]
    ['a.json']
    """
    place = Path(path)
    partial = place.with_name(f"{PARTIAL}{secrets.token_hex(8)}{''.join(place.suffixes[-2:])}")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666))
    try:
        yield partial
        partial.replace(place)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
