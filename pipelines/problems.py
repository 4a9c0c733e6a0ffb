"""Exit codes, and the errors that a user reads."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    INTERNAL = 1
    USAGE = 2
    SOME_FAILED = 3
    NOTHING_FOUND = 4
    INTERRUPTED = 130


class CommandError(Exception):
    """An end that is not the program's fault; the message names what was got and what to do.

    Args:
        message: one sentence for the user.
        code: the exit code.
    """

    def __init__(self, message: str, code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.code = code


def one_line(error: BaseException) -> str:
    """Type and message of an unexpected error, without its line breaks."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from, outermost first (MONAI wraps the errors of transforms and configs)."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
