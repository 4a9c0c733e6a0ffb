"""Why a case was not done, in sentences that hold no word from the input: file names may name patients."""

from __future__ import annotations

import errno

OUT_OF_MEMORY = "MemoryError"
BATCH_CODES = {
    "WORKER_DIED": "the worker that had this case ended without a result",
    "TIME_OUT": "the case took longer than the site allows, and its worker was ended",
    "CHANGED": "the files changed while they were read; the next run takes them as they are then",
    "SEG_FAILED": "an older version could make no DICOM segmentation of it, and kept no result",
    "SR_FAILED": "an older version could make no DICOM structured report of it, and kept no result",
    "SC_FAILED": "an older version could make no DICOM secondary capture of it, and kept no result",
    OUT_OF_MEMORY: "there was not enough memory for this case",
}
_PASSING = ("UNREADABLE", "MISSING_FILE")  # of the reader's codes: what a share that is back mends
OF_OLDER_VERSIONS = ("SEG_FAILED", "SR_FAILED", "SC_FAILED")  # `reprocess` takes these cases up again by itself
_RUN_AGAIN = "Run `healthytwin reprocess` again: it takes this case up by itself."
_RETRY = "Try it again: `healthytwin retry`, then `healthytwin reprocess`."
_FIRST = {
    "TIME_OUT": "Allow more time in the site file (`limits.case_seconds`).",
    OUT_OF_MEMORY: "Use fewer workers (`--workers`), or a machine with more memory.",
    "WORKER_DIED": "See whether the machine has run out of memory; if so, use fewer workers (`--workers`).",
}
_SITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)  # faults of the target, not of a case


class CaseError(RuntimeError):
    """A case that cannot be done for a known reason.

    Args:
        code: one of those that `meaning` knows.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    def __reduce__(self) -> tuple[type[CaseError], tuple[str]]:
        """So that it survives the way back from a worker process."""
        return type(self), (self.code,)


def meaning(code: str) -> str:
    """What a reason code means.

    >>> meaning("MISSING_SLICES")
    'slices of the volume, or files of the image, are missing'
    >>> meaning("KeyError")
    'an unexpected error of this type'
    """
    from data_prep.verdict import CODES

    if code in CODES:
        return CODES[code].meaning
    return BATCH_CODES.get(code, "an unexpected error of this type")


def remedy(code: str) -> str:
    """The suggested fix for a reason. `healthytwin retry` is named where it helps, and nowhere else.

    >>> remedy("CHANGED"), is_final("CHANGED"), remedy("WORKER_DIED"), is_final("WORKER_DIED")
    ('Run `healthytwin reprocess` again: it takes this case up by itself.', True, \
'Try it again: `healthytwin retry`, then `healthytwin reprocess`.', False)
    """
    from data_prep.verdict import CODES

    if code in ("CHANGED", *OF_OLDER_VERSIONS):
        return _RUN_AGAIN
    if is_final(code):
        return CODES[code].remedy
    return f"{CODES[code].remedy} {_RETRY}" if code in CODES else _RETRY


def is_automatic(code: str) -> bool:
    """Does the next run take the case up by itself?"""
    return code in ("CHANGED", *OF_OLDER_VERSIONS)


def steps(code: str) -> list[str]:
    """What exactly a person does about a reason, in order; ARCHIVE and CASE stand for names.

    >>> steps("TIME_OUT")
    ['Allow more time in the site file (`limits.case_seconds`).', \
'Run `healthytwin retry ARCHIVE`, then `healthytwin reprocess`.']
    >>> steps("MIXED_PATIENTS")[1]
    'Do not use the series; tell your PACS team.'
    """
    from data_prep.verdict import CODES

    if is_automatic(code):
        return [_RUN_AGAIN]
    if is_final(code):
        find = "Find the series: `healthytwin where ARCHIVE CASE` shows its study and series UIDs."
        return [find, CODES[code].remedy, "Run `healthytwin reprocess` again. It examines what is new."]
    first = CODES[code].remedy if code in CODES else _FIRST.get(code, "")
    return [*([first] if first else []), "Run `healthytwin retry ARCHIVE`, then `healthytwin reprocess`."]


def is_final(code: str) -> bool:
    """Will another attempt end in the same way?"""
    from data_prep.verdict import CODES

    return (code in CODES and code not in _PASSING) or code in ("CHANGED", *OF_OLDER_VERSIONS)


def target_fault(error: BaseException) -> str:
    """Why nothing at all can be written, in words; "" for an error of any other kind.

    >>> target_fault(OSError(errno.ENOSPC, "No space left on device"))
    'No space left on device'
    """
    if isinstance(error, OSError) and error.errno in _SITE:
        return str(error.strerror)
    return ""
