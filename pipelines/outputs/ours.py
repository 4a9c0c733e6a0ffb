"""No file is overwritten that this program did not write, and nothing is written into a source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from pipelines.outputs.concepts import MAKER
from pipelines.outputs.table import OUTPUTS
from pipelines.problems import CommandError

_PAGE = b'<meta name="generator" content="healthytwin">'
_MARKS = ({"schema_version", "bundle"}, {"weights_sha256", "voxel_threshold"})  # of records and findings; calibrations
_HEAD = 8192  # bytes of a page that hold its meta elements


def check_apart(sources: Iterable[Path], output: Path) -> None:
    """Raise `CommandError` where an output folder is a source, lies in one, or is the folder of a datalist."""
    place = output.resolve()
    for source in sources:
        inside = source.is_dir() and (source.resolve() == place or source.resolve() in place.parents)
        if inside or (source.suffix == ".json" and source.resolve().parent == place):
            msg = f"{output}: lies in the source {source}, where its results would be taken for scans; choose another"
            raise CommandError(msg)


def check_ours(folder: Path, names: Iterable[str]) -> None:
    """Raise `CommandError` where a file that is to be written is there, and is not as this program wrote it.

    Args:
        folder: where the files are to be.
        names: of the files.
    """
    written = _written(folder)
    for name in names:
        path = folder / name
        if not (path.exists() or path.is_symlink()):
            continue
        ours = _digest(path) == written[name] if name in written and path.is_file() else is_ours(path)
        if not ours:
            msg = f"{path}: is there, and is not as healthytwin wrote it; move it, or choose another output folder"
            raise CommandError(msg)


def digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of files by name: those named, and those that an earlier run wrote and that are as it left them."""
    earlier = {name: digest for name, digest in _written(folder).items() if _digest(folder / name) == digest}
    return earlier | {name: _digest(folder / name) for name in names if (folder / name).is_file()}


def is_ours(path: Path) -> bool:
    """Does a file bear the marks of this program?"""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        if path.name.endswith(".json"):
            return _is_our_json(path)
        if path.suffix == ".html":
            with path.open("rb") as stream:
                return _PAGE in stream.read(_HEAD)
        if path.suffix in (".csv", ".parquet"):
            return _columns(path)[:2] == ["key", "case"]
        if path.suffix == ".dcm":
            return _maker(path) == MAKER
        return _has_finding(path)
    except (OSError, ValueError):
        return False


def _is_our_json(path: Path) -> bool:
    document = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(document, dict) and any(marks <= document.keys() for marks in _MARKS)


def _columns(path: Path) -> list[str]:
    """The names of the columns of a table."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8") as stream:
            return [name.strip('"') for name in stream.readline().strip().split(",")]
    import pyarrow.parquet

    return list(pyarrow.parquet.read_schema(path).names)


def _has_finding(path: Path) -> bool:
    """Is this the mask or the score map of a finding beside it, or a file that a stopped run left without one?"""
    import nibabel as nib

    for row in OUTPUTS.values():
        case = path.name.removesuffix(row.ending)
        if case != path.name and row.kind != "finding":
            finding = path.with_name(OUTPUTS["finding"].file(case))
            if finding.exists():
                return _is_our_json(finding)
    header = nib.load(path).header  # type: ignore[attr-defined]
    return bytes(header["descrip"].tobytes()).startswith(MAKER.encode())


def _maker(path: Path) -> str:
    from data_prep.dicom.header import read_header
    from data_prep.errors import InputError
    from data_prep.formats.source import Source

    try:
        header = read_header(Source(path), [0x00080070])
    except InputError:
        return ""
    element = header.elements.get(0x00080070) if header is not None else None
    value = getattr(element, "value", b"") or b""
    return value.decode("latin-1").strip() if isinstance(value, bytes) else str(value)


def _written(folder: Path) -> dict[str, str]:
    """What the last run in a folder says that it has written."""
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return dict(run["written"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
