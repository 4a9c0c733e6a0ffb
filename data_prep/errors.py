"""`InputError`: an input that must not be used, with its path, a code and a sentence."""

from __future__ import annotations

from pathlib import Path


class InputError(ValueError):
    """Bad input.

    Args:
        path: the file or folder.
        code: a reason code such as `MISSING_SLICES`, for machines.
        reason: one sentence that a radiographer understands.
    """

    def __init__(self, path: str | Path, code: str, reason: str) -> None:
        super().__init__(f"{path}: {reason} [{code}]")
        self.path, self.code, self.reason = str(path), code, reason

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str]]:
        """So that it survives the way back from a worker process."""
        return type(self), (self.path, self.code, self.reason)
