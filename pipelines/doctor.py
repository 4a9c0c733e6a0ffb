"""`healthytwin doctor`: whether this installation works, and how to fix what does not."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.bundles import find_bundle, installed_bundles
from pipelines.problems import CommandError, ExitCode, one_line

PACKAGE = "healthytwin"
_FREE_GB = 1.0  # of the temporary folder: a decoded volume and its maps


class Check(BaseModel):
    """One thing that was looked at."""

    model_config = ConfigDict(extra="forbid")

    what: str
    state: Literal["ok", "note", "broken"] = Field(description="note: works, but less than it could")
    found: str
    remedy: str = Field(default="", description="what to do; empty where nothing is to be done")


class DoctorRecord(BaseModel):
    """All checks."""

    model_config = ConfigDict(extra="forbid")

    schema_version: str = "1.0"
    command: str = "doctor"
    checks: list[Check]

    @property
    def exit_code(self) -> ExitCode:
        """`USAGE` where something that is needed is broken."""
        return ExitCode.USAGE if any(check.state == "broken" for check in self.checks) else ExitCode.DONE


def diagnose() -> DoctorRecord:
    """Look at interpreter, packages, torch, DICOM decoders, folders and bundles. Changes nothing."""
    parts: dict[str, Callable[[], Iterator[Check]]] = {
        "packages": packages,
        "torch": torch_works,
        "DICOM pixels": dicom_pixels,
        "folders": folders,
        "bundles": bundles,
    }
    checks = [Check(what="Python", state="ok", found=f"{platform.python_version()} at {sys.executable}")]
    for name, look in parts.items():
        try:
            checks += look()
        except Exception as error:
            remedy = f"pip install --force-reinstall {PACKAGE}, and report this if it stays"
            checks.append(Check(what=name, state="broken", found=one_line(error), remedy=remedy))
    return DoctorRecord(checks=checks)


def packages() -> Iterator[Check]:
    """Our own version, every requirement against what is installed, and the optional extras."""
    from packaging.requirements import Requirement

    try:
        yield Check(what=PACKAGE, state="ok", found=metadata.version(PACKAGE))
    except metadata.PackageNotFoundError:
        yield Check(
            what=PACKAGE,
            state="note",
            found="run from its source, not installed",
            remedy="pip install -e . installs it",
        )
        return
    extras: dict[str, list[str]] = {}
    met = 0
    for needed in map(Requirement, metadata.requires(PACKAGE) or ()):
        found = _version(needed.name)
        fits = found is not None and needed.specifier.contains(found, prereleases=True)
        if needed.marker is None:
            met += fits
            if not fits:
                remedy = f'pip install "{needed.name}{needed.specifier}"'
                yield Check(what=needed.name, state="broken", found=found or "not installed", remedy=remedy)
            continue
        extra = str(needed.marker).rpartition("== ")[2].strip("\"'")
        extras.setdefault(extra, []).extend([] if fits else [needed.name])
    yield Check(what="packages", state="ok", found=f"{met} as required")
    for extra, missing in extras.items():
        if extra in ("dev", "docs"):
            continue
        found = f"without {', '.join(missing)}" if missing else "installed"
        remedy = f'optional: pip install "{PACKAGE}[{extra}]"' if missing else ""
        yield Check(what=f"extra {extra}", state="note" if missing else "ok", found=found, remedy=remedy)


def torch_works() -> Iterator[Check]:
    """A convolution on the CPU, and on every GPU."""
    import torch

    def convolve(device: str) -> None:
        torch.nn.Conv3d(1, 1, 3, device=device)(torch.zeros(1, 1, 4, 4, 4, device=device)).sum().item()

    convolve("cpu")
    yield Check(what="torch", state="ok", found=f"{torch.__version__}, {torch.get_num_threads()} threads")
    if not torch.cuda.is_available():
        built = torch.version.cuda
        remedy = f"where there is an NVIDIA GPU: a driver for CUDA {built}" if built else ""
        found = "no GPU can be used" if built else "no GPU: this torch is built for the CPU"
        yield Check(
            what="CUDA", state="note" if built else "ok", found=f"{found}; everything works without", remedy=remedy
        )
    for index in range(torch.cuda.device_count()):
        name, memory = torch.cuda.get_device_name(index), torch.cuda.get_device_properties(index).total_memory
        try:
            convolve(f"cuda:{index}")
        except RuntimeError as error:
            remedy = "a torch that fits the GPU and its driver; --device cpu works meanwhile"
            yield Check(what=f"cuda:{index}", state="broken", found=f"{name}: {one_line(error)}", remedy=remedy)
        else:
            yield Check(what=f"cuda:{index}", state="ok", found=f"{name}, {memory / 2**30:.0f} GiB")


def dicom_pixels() -> Iterator[Check]:
    """Which decoders there are for each compressed transfer syntax; a series of the lossless ones is read back."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

    from data_prep.dicom.encapsulated import DECODED, EXTENDED, why_not

    for syntax in sorted(DECODED):
        decoder = get_decoder(syntax)
        what, found = decoder.UID.name, ", ".join(decoder.available_plugins)
        if not decoder.available_plugins:
            remedy = f'pip install --force-reinstall "{PACKAGE}"'
            yield Check(what=what, state="broken", found="no decoder", remedy=remedy)
        elif syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
            yield _read_back(syntax, what, found)
        elif syntax == EXTENDED and (why := why_not(syntax, 12)):
            yield Check(what=what, state="note", found=f"{found}; of 8 bits only", remedy=f"optional: {why}")
        else:
            yield Check(what=what, state="ok", found=found)


def _read_back(syntax: str, what: str, plugins: str) -> Check:
    """A series is written, compressed and read; encoder and decoder stand on different code for most."""
    import numpy as np
    import pydicom

    from data_prep import InputError, read_volume
    from data_prep.demo import Scan, write_series

    array = np.random.default_rng(0).integers(0, 4096, (64, 64, 3)).astype(np.int16)
    scan = Scan(array=array, affine=np.eye(4), mask=np.zeros(array.shape, bool))
    with tempfile.TemporaryDirectory(prefix="healthytwin-doctor-") as folder:
        for path in write_series(scan, Path(folder), patient="Doctor", seed=0):
            image = pydicom.dcmread(path)
            image.compress(syntax, generate_instance_uid=False)
            image.save_as(path)
        try:
            same = np.array_equal(read_volume(folder).array, array)
        except InputError as error:
            return Check(what=what, state="broken", found=error.reason, remedy=f"reinstall the decoders: {plugins}")
    if not same:
        return Check(what=what, state="broken", found="other voxels than were written", remedy="report this to us")
    return Check(what=what, state="ok", found=f"{plugins}; read back exactly")


def folders() -> Iterator[Check]:
    """Can the temporary folder and matplotlib's cache be written to?"""
    import matplotlib

    for what, place, variable in (
        ("temporary folder", tempfile.gettempdir(), "TMPDIR"),
        ("font cache", matplotlib.get_cachedir(), "MPLCONFIGDIR"),
    ):
        remedy = f"set {variable} to a folder that can be written to and has room"
        try:
            with tempfile.TemporaryFile(dir=place):
                free = shutil.disk_usage(place).free / 1e9
        except OSError as error:
            yield Check(what=what, state="broken", found=f"{place}: {error.strerror or error}", remedy=remedy)
            continue
        state: Literal["ok", "note"] = "ok" if free > _FREE_GB else "note"
        yield Check(
            what=what, state=state, found=f"{place}, {free:.1f} GB free", remedy="" if state == "ok" else remedy
        )


def bundles() -> Iterator[Check]:
    """Is the default bundle there, and does every bundle have the weights that it was calibrated with?"""
    from anomaly.bundle import CALIBRATION, WEIGHTS, BundleError, bundle_id, bundle_sha256, load_calibration

    default: Path | None = None
    try:
        default = find_bundle()
    except CommandError as error:
        yield Check(what="default bundle", state="broken", found=str(error), remedy="name one with $HEALTHYTWIN_BUNDLE")
    for root in dict.fromkeys([*([default] if default else []), *installed_bundles()]):
        what = f"bundle {root.name}"
        if root != default and not any((root / part).exists() for part in (WEIGHTS, CALIBRATION)):
            yield Check(what=what, state="ok", found="comes untrained; its docs/README.md says how to train it")
            continue
        try:
            bundle = bundle_id(root, load_calibration(root))
        except BundleError as error:
            mended = "" if (root / WEIGHTS).is_file() else f"copy its model.pt to {root / WEIGHTS}, or train it"
            state: Literal["note", "broken"] = "broken" if root == default else "note"
            yield Check(what=what, state=state, found=str(error), remedy=mended or "restore its files")
        else:
            weights = f"weights {bundle.weights_sha256[:12]} as calibrated"
            whole = f"SHA-256 of all its files {bundle_sha256(root)}"
            yield Check(what=what, state="ok", found=f"{bundle.version}; {whole}; {weights}")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
