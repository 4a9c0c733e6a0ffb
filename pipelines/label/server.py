"""`healthytwin label`: MONAI Label's server around the app, at this machine's own address."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import typer

from pipelines.bundles import find_bundle
from pipelines.machine.files import writable_folder, write_whole
from pipelines.problems import CommandError

COMPAT = Path(__file__).parent / "compat"
_MAIN = '''"""HealthyTwin for MONAI Label."""

from pipelines.label.app import HealthyTwinApp

__all__ = ["HealthyTwinApp"]
'''


def app_folder() -> Path:
    """The folder of the app, in the user's own: MONAI Label writes its logs and models beside `main.py`.

    Raises:
        CommandError: it cannot be written to.
    """
    folder = writable_folder(Path(typer.get_app_dir("healthytwin")) / "label")
    write_whole(folder / "main.py", _MAIN)
    return folder


def serve(
    studies: str,
    *,
    bundle: Path | None = None,
    device: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
) -> int:
    """Run the server until it is stopped; gives its exit code.

    Args:
        studies: a folder, or a DICOMweb address.
        bundle: its folder; see `find_bundle`.
        device: as of `healthytwin detect`.
        host: address to listen at.
        port: to listen at.

    Raises:
        CommandError: MONAI Label is not installed here, there is no such bundle or folder.
    """
    if find_spec("monailabel") is None:
        msg = "MONAI Label is not in this Python; `make label` makes an environment with it, .venv-label"
        raise CommandError(msg)
    remote = studies.startswith(("http://", "https://"))
    if not remote and not Path(studies).is_dir():
        msg = f"{studies}: no such folder of studies"
        raise CommandError(msg)
    conf = ["--conf", "bundle", str(find_bundle(bundle)), *(["--conf", "device", device] if device else [])]
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(app_folder())]
    command += ["--studies", studies, "--host", host, "--port", str(port), *conf]
    command += ["--uvicorn_app", "pipelines.label.asgi:app"]
    return subprocess.run(command, env=environment(), check=False).returncode


def environment() -> dict[str, str]:
    """This process's environment, with the paths to pydicom-seg's stand-in and to this Python's commands."""
    paths = {"PYTHONPATH": COMPAT, "PATH": Path(sys.executable).parent}
    added = {name: os.pathsep.join(filter(None, (str(path), os.environ.get(name)))) for name, path in paths.items()}
    return {**os.environ, **added}
