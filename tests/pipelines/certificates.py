"""Certificates for tests, made on the spot by `openssl`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.pacs.tls import Tls


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def authority(folder: Path, name: str = "ca") -> Path:
    """A new authority; its certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{name}.pem"
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key"]
    _openssl("req", "-x509", *options, "-out", made)
    return made


def signed(ca: Path, name: str) -> Tls:
    """A certificate for 127.0.0.1 that an authority has signed, its key, and the authority."""
    folder = ca.parent
    key, request, made = (folder / f"{name}.{suffix}" for suffix in ("key", "csr", "pem"))
    extensions = folder / f"{name}.cnf"
    extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
    authority_of = ["-CA", ca, "-CAkey", ca.with_suffix(".key"), "-CAcreateserial"]
    _openssl("x509", "-req", "-in", request, *authority_of, "-days", "2", "-extfile", extensions, "-out", made)
    return Tls(certificate=made, key=key, ca=ca)
