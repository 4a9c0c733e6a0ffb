"""`InputError`: an input that must not be used, with its path, a code and a sentence."""

from __future__ import annotations

import re
from pathlib import Path

# C0 and C1, line and paragraph separators, and the marks that turn the direction of writing
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_FOLDERS = re.compile(r"""(?:^|(?<=[\s"'(\[=]))/(?:[^/:"'\n]+/)+""")  # of an absolute path


def without_folders(text: str, place: str | Path = "") -> str:
    """A sentence in which files are named without the folders that they lie in: folders bear patients' names.

    Args:
        text: the sentence.
        place: what it is about, so that its folder is known where the path is a relative one.

    >>> without_folders("cannot open /data/JOHN DOE/scan.nii (no such file)")
    'cannot open scan.nii (no such file)'
    >>> without_folders("DOE/scan.nii: all voxels are 0", "DOE/scan.nii")
    'scan.nii: all voxels are 0'
    """
    for folder in (str(place), str(Path(place).parent)):
        if folder.strip("./"):
            text = text.replace(f"{folder.rstrip('/')}/", "")
    return _FOLDERS.sub("", text)


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
