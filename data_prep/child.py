"""Python processes that import nothing from the working directory: images may lie there, and with them anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAFE = "PYTHONSAFEPATH"
_ROOT = str(Path(__file__).resolve().parent.parent)


def python(module: str) -> list[str]:
    """The beginning of a command that runs a module with this Python; see `environment`."""
    return [sys.executable, "-P", "-m", module]


def environment(**more: str) -> dict[str, str]:
    """This process's environment for a child: nothing is imported from the working directory, these packages are found.

    The user's own `PYTHONPATH` stays, but for empty entries: they mean the working directory, and mostly come from
    `PYTHONPATH=$PYTHONPATH:/a/folder`.

    Args:
        more: other variables.
    """
    return {**os.environ, SAFE: "1", "PYTHONPATH": os.pathsep.join(_python_path()), **more}


@contextmanager
def safe_path() -> Iterator[None]:
    """Processes that libraries start in the body (`multiprocessing` does so with `python -c`) get `environment`."""
    before = {name: os.environ.get(name) for name in (SAFE, "PYTHONPATH")}
    os.environ.update(environment())
    try:
        yield
    finally:
        for name, value in before.items():
            _restore(name, value)


def stay_out_of_working_directory() -> None:
    """Import nothing from the working directory in this process and in all that it starts; for programs, not libraries.

    Matplotlib reads a `matplotlibrc` of the working directory, which may name modules and programs to run.
    """
    os.environ.update(environment())
    if "" in sys.path:
        sys.path[:] = [entry for entry in sys.path if entry]
        sys.path.append(_ROOT)
    if Path("matplotlibrc").exists() and "matplotlib" not in sys.modules:
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(_ROOT)
            __import__("matplotlib")
        finally:
            os.fchdir(here)
            os.close(here)


def _python_path() -> list[str]:
    """What children look for modules in first: the user's own folders, then a checkout that is not installed."""
    folders = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    installed = Path(_ROOT).name in ("site-packages", "dist-packages")
    return folders if installed or _ROOT in folders else [*folders, _ROOT]


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
