"""What a client of the server reads when a request cannot be served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException

from anomaly import BundleError
from data_prep import InputError
from data_prep.errors import without_folders
from pipelines.machine.files import printable
from pipelines.problems import CommandError, causes

_UNPROCESSABLE = 422  # RFC 9110, 15.5.21


@contextmanager
def refusals() -> Iterator[None]:
    """Answer bad input with 422 and one sentence that names no folder; what is our fault stays a 500."""
    try:
        yield
    except Exception as error:
        known = next((one for one in causes(error) if isinstance(one, InputError | CommandError | BundleError)), None)
        if known is None:
            raise
        sentence = f"{known.reason} [{known.code}]" if isinstance(known, InputError) else str(known)
        raise HTTPException(_UNPROCESSABLE, without_folders(printable(sentence))) from error
