"""Results are the user's own: nobody else may look into them, unless the user says so."""

from __future__ import annotations

import os
import re

from pipelines.problems import CommandError

VARIABLE = "HEALTHYTWIN_UMASK"
_USUAL = 0o077


def keep_private() -> None:
    """Make every file and folder of this process, and of those that it starts, readable by its owner alone.

    `$HEALTHYTWIN_UMASK`, such as 027 for a group's archive, takes the place of 077; a stricter umask stays.

    Raises:
        CommandError: the variable is no umask.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen is not None and not re.fullmatch("0?[0-7]{3}", chosen):
        msg = f"${VARIABLE} must be a umask such as 077 or 027, got {chosen!r}"
        raise CommandError(msg)
    os.umask(os.umask(_USUAL) | _USUAL if chosen is None else int(chosen, 8))
