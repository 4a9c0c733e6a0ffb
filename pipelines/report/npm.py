"""`take`: one file of an npm package, fetched by npm itself and checked."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

from pipelines.machine.files import write_whole
from pipelines.problems import CommandError


def take(place: Path, *, package: str, member: str, sha256: str) -> Path:
    """Take a file out of a package.

    Args:
        place: where it is put.
        package: with its version, as npm takes it.
        member: the file within the package's archive.
        sha256: of the file.

    Raises:
        CommandError: npm is not there or does not give the package, or the file is another one.
    """
    with tempfile.TemporaryDirectory(prefix="healthytwin-") as scratch:
        command = ["npm", "pack", "--silent", "--pack-destination", scratch, package]
        try:
            subprocess.run(command, check=True, capture_output=True, cwd=scratch)
            with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
                stream = archive.extractfile(member)
                content = stream.read() if stream is not None else b""
        except (OSError, StopIteration, KeyError, subprocess.CalledProcessError, tarfile.TarError) as error:
            msg = f"{package} cannot be had from npm: {' '.join(str(error).split())}"
            raise CommandError(msg) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        msg = f"{package}: npm gave another file than the pinned one"
        raise CommandError(msg)
    return write_whole(place, content)
