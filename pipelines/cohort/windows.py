"""Windows of CT, as people name them."""

from __future__ import annotations

from pipelines.problems import CommandError

NAMED_WINDOWS = {
    "brain": (0.0, 80.0),
    "subdural": (-20.0, 180.0),
    "stroke": (8.0, 48.0),
    "abdomen": (-160.0, 240.0),
    "lung": (-1350.0, 150.0),
    "bone": (-800.0, 1800.0),
}


def window_of(text: str) -> tuple[float, float]:
    """A window of a command line: a name, or two HU with a comma between.

    >>> window_of("brain"), window_of("-20,180")
    ((0.0, 80.0), (-20.0, 180.0))

    Raises:
        CommandError: it is neither.
    """
    if text in NAMED_WINDOWS:
        return NAMED_WINDOWS[text]
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        known = ", ".join(NAMED_WINDOWS)
        msg = f"--window needs two HU, the lower one first, such as 0,80, or one of {known}; got {text!r}"
        raise CommandError(msg)
    return low, high
