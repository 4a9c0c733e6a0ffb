"""NiiVue, the viewer in a report. The wheel has it; in a checkout, the installation takes it from npm, once.

NiiVue is under the licence BSD-2-Clause; its text is in the wheel and in every page that has NiiVue. Reports without it
have pictures of slices instead.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from pipelines.problems import CommandError
from pipelines.report.npm import take

PACKAGE, VERSION, MEMBER = "@niivue/niivue", "0.69.0", "package/dist/niivue.umd.js"
SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"
VARIABLE = "HEALTHYTWIN_NIIVUE"
_PLACE = Path(__file__).parent / "templates" / "niivue.umd.js"


class Scripts(NamedTuple):
    """What a page with a viewer runs: NiiVue, and ours that opens it."""

    niivue: str
    ours: str
    version: str = VERSION

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.niivue) + len(self.ours)


def find_scripts() -> Scripts | None:
    """The scripts of a page with a viewer; None: NiiVue is not there.

    Raises:
        CommandError: as of `find_niivue`.
    """
    niivue = find_niivue()
    if niivue is None:
        return None
    licence, ours = (_template(name) for name in ("niivue.LICENSE.txt", "viewer.js"))
    return Scripts(f"/* {licence}*/\n{niivue}", ours)


def _template(name: str) -> str:
    return (files("pipelines.report") / "templates" / name).read_text(encoding="utf-8")


def find_niivue() -> str | None:
    """NiiVue's script: the file `$HEALTHYTWIN_NIIVUE`, or what `make viewer` has put beside the templates; or None.

    Raises:
        CommandError: the file is not the one of the pinned version.
    """
    path = Path(os.environ.get(VARIABLE) or _PLACE)
    if not path.is_file():
        return None
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        msg = f"{path}: SHA-256 is {found[:12]}..., not that of NiiVue {VERSION}; remove it and run `make viewer`"
        raise CommandError(msg)
    return content.decode("utf-8")


def fetch(place: Path = _PLACE) -> Path:
    """Take NiiVue out of its npm package, by npm itself, and check it.

    Raises:
        CommandError: npm is not there or does not give the package, or it is another one.
    """
    return take(place, package=f"{PACKAGE}@{VERSION}", member=MEMBER, sha256=SHA256)


if __name__ == "__main__":
    print(fetch(Path(sys.argv[1]) if len(sys.argv) > 1 else _PLACE))
