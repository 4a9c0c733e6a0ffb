"""`healthytwin label`: MONAI Label's server around the app, at this machine's own address."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import typer

from data_prep import child
from data_prep.child import python
from pipelines.bundles import find_bundle
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.parent import end_with_parent
from pipelines.problems import CommandError

COMPAT = Path(__file__).parent / "compat"
HOSTS = "HEALTHYTWIN_LABEL_HOSTS"  # of the server's process: names that clients may call it by, between commas
_EVERYWHERE = ("0.0.0.0", "::")
_ENDING = (signal.SIGINT, signal.SIGTERM, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))
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
    names: Sequence[str] = (),
) -> int:
    """Run the server until it is stopped; gives its exit code. It ends with this process, however that one ends.

    It runs in the app's folder, not where the user is: MONAI Label reads settings from a `.env` where it runs.

    Args:
        studies: a folder, or a DICOMweb address.
        bundle: its folder; see `find_bundle`.
        device: as of `healthytwin detect`.
        host: address to listen on.
        port: to listen at.
        names: that clients call this machine by, beside its own and `host`.

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
    print(f"In 3D Slicer, open the module MONAI Label and enter http://{_reached(host)}:{port}", file=sys.stderr)
    conf = ["--conf", "bundle", str(find_bundle(bundle)), *(["--conf", "device", device] if device else [])]
    folder = app_folder()
    command = [*python("monailabel.main"), "start_server", "--app", str(folder)]
    command += ["--studies", studies if remote else str(Path(studies).resolve()), "--host", host, "--port", str(port)]
    command += [*conf, "--uvicorn_app", "pipelines.label.asgi:app"]
    hosts = ",".join([*names, *([] if host in _EVERYWHERE else [host])])
    with tempfile.TemporaryDirectory(prefix="healthytwin-label-") as scratch:
        return _run(command, folder, {**environment(), HOSTS: hosts, "TMPDIR": scratch})


def _reached(host: str) -> str:
    """The name by which a viewer reaches this machine."""
    return socket.gethostname() if host in _EVERYWHERE else host


def environment() -> dict[str, str]:
    """This process's environment, with the paths to pydicom-seg's stand-in and to this Python's commands."""
    children = child.environment()
    paths = {"PYTHONPATH": COMPAT, "PATH": Path(sys.executable).parent}
    return {**children, **{name: f"{path}{os.pathsep}{children.get(name, '')}" for name, path in paths.items()}}


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> int:
    """Run a command in a folder, and hand signals that are meant to end this process on to it."""
    us = os.getpid()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, start_new_session=True, preexec_fn=lambda: end_with_parent(us)
    )
    before = {number: signal.signal(number, lambda number, _: process.send_signal(number)) for number in _ENDING}
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        process.kill()
        process.wait()
