"""A bundle's own files: where they are, and whether they belong together."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from anomaly.files import atomically
from anomaly.finding import BundleId
from anomaly.scoring.calibration import Calibration

WEIGHTS, CALIBRATION, METADATA = "models/model.pt", "models/calibration.json", "configs/metadata.json"


class BundleError(RuntimeError):
    """A bundle that cannot be used; the message names the file and says what to do."""


def bundle_root(name: str) -> str:
    """Where the bundle `name` lies, so that `monai.bundle run` works from any directory.

    In this order: the bundle of the `--config_file` on the command line, the working directory, the folder
    `$HEALTHYTWIN_BUNDLES`, and `bundles/` beside this package.

    Raises:
        BundleError: it is in none of these.
    """
    candidates = [*_command_line_bundles(), Path.cwd()]
    if folder := os.environ.get("HEALTHYTWIN_BUNDLES"):
        candidates.append(Path(folder) / name)
    candidates.append(Path(__file__).resolve().parent.parent / "bundles" / name)
    for candidate in candidates:
        if (candidate / METADATA).is_file():
            return str(candidate.resolve())
    msg = f"bundle {name!r} not found; looked in {', '.join(str(path) for path in candidates)}"
    raise BundleError(msg)


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, in hex."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def bundle_sha256(root: str | Path) -> str:
    """SHA-256 of a bundle as a whole, in hex: of every file's path and content, in the order of the paths.

    In the bundle's folder, where no file is a link, this gives the same:
    `find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum`.

    Raises:
        BundleError: a folder in it is a link, or what is in it is neither file nor folder, or cannot be read.
    """
    root = Path(root)
    lines = []
    try:
        for path in root.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                continue
            if not path.is_file():
                msg = f"{path}: neither a file nor a folder; a bundle that is pinned holds nothing else"
                raise BundleError(msg)
            name = os.fsencode(path.relative_to(root).as_posix())
            lines.append((name, sha256_of(path).encode() + b"  " + name + b"\n"))
    except OSError as error:
        msg = f"{root}: cannot be read: {error.strerror or error}"
        raise BundleError(msg) from error
    return hashlib.sha256(b"".join(line for _, line in sorted(lines))).hexdigest()


def load_metadata(root: str | Path) -> dict[str, Any]:
    """`configs/metadata.json` of the bundle at `root`.

    Raises:
        BundleError: it is missing, cannot be read, is no JSON, or names neither bundle nor version.
    """
    path = Path(root) / METADATA
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"{root}: not a bundle, there is no {METADATA}"
        raise BundleError(msg) from error
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise BundleError(msg) from error
    except ValueError as error:
        msg = f"{path}: not JSON: {error}"
        raise BundleError(msg) from error
    lacks = [key for key in ("name", "version") if not isinstance(metadata, dict) or not metadata.get(key)]
    if lacks:
        msg = f"{path}: not the metadata of a bundle, it lacks {' and '.join(lacks)}"
        raise BundleError(msg)
    return dict(metadata)


def load_calibration(root: str | Path, path: str | Path | None = None) -> Calibration:
    """A calibration for the bundle at `root`, once its weights are seen to be the calibrated ones.

    Args:
        root: of the bundle.
        path: of a calibration that a site has made; None: the bundle's own.

    Raises:
        BundleError: weights or calibration are missing, unreadable, or do not belong together.
    """
    weights, own, path = Path(root) / WEIGHTS, path is None, Path(path or Path(root) / CALIBRATION)
    if not weights.is_file():
        msg = f"{weights}: no weights; train the bundle first"
        raise BundleError(msg)
    if not path.is_file():
        msg = f"{path}: no calibration; " + (
            "training writes it, on healthy validation cases" if own else "`healthytwin calibrate` writes one"
        )
        raise BundleError(msg)
    calibration = _calibration_at(path)
    if (found := sha256_of(weights)) != calibration.weights_sha256:
        msg = (
            f"{weights}: SHA-256 is {found[:12]}..., but {path.name} was made for "
            f"{calibration.weights_sha256[:12]}...; restore the file or {'train and ' if own else ''}calibrate again"
        )
        raise BundleError(msg)
    return calibration


def _calibration_at(path: Path) -> Calibration:
    """The calibration in a file; a scan that was named by mistake is not read to its end."""
    try:
        with path.open("rb") as stream:
            is_json = stream.read(64).lstrip().startswith(b"{")
        if not is_json:
            msg = f"{path}: not a calibration; `healthytwin calibrate` writes one, a JSON file"
            raise BundleError(msg)
        return Calibration.load(path)
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise BundleError(msg) from error
    except ValueError as error:
        msg = f"{path}: not a calibration: {_fault(error)}; `healthytwin calibrate` writes one"
        raise BundleError(msg) from error


def _fault(error: ValueError) -> str:
    """The first thing that is wrong with a calibration, in our words."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return "it is not text"
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    kinds = {"missing": f"it lacks {name}", "extra_forbidden": f"it holds {name}", "json_invalid": "it is not JSON"}
    return kinds.get(first["type"], f"its {name} is not valid")


def bundle_id(root: str | Path, calibration: Calibration) -> BundleId:
    """Name, version and weights of the bundle at `root`."""
    metadata = load_metadata(root)
    try:
        return BundleId(name=metadata["name"], version=metadata["version"], weights_sha256=calibration.weights_sha256)
    except ValueError as error:
        msg = f"{Path(root) / METADATA}: name and version are not texts"
        raise BundleError(msg) from error


def export_weights(checkpoint: str | Path, path: str | Path) -> str:
    """Write a checkpoint's network as the flat half-precision state dict that bundles ship.

    Args:
        checkpoint: a state dict, or a MONAI checkpoint with the state dict under `model`.
        path: the file to write, replaced in one step.

    Returns:
        Its SHA-256.
    """
    import torch

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = state.get("model", state)
    state = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    with atomically(path) as partial, partial.open("wb") as stream:
        torch.save(state, stream)  # given a name, torch writes that name into the file
    return sha256_of(path)


def _command_line_bundles() -> list[Path]:
    """The folders above `configs/` of every `--config_file` among this process's arguments."""
    found = []
    for index, argument in enumerate(sys.argv):
        name, _, value = argument.partition("=")
        if name in ("--config_file", "--config-file"):
            value = value or (sys.argv[index + 1] if index + 1 < len(sys.argv) else "")
            found += [Path(file.strip(" '\"[]")).resolve().parent.parent for file in value.split(",")]
    return found
