"""Which bundle to run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from pipelines.machine.device import check_device
from pipelines.machine.free_memory import free_bytes
from pipelines.problems import CommandError

if TYPE_CHECKING:
    from anomaly import Detector

DEFAULT_BUNDLE = "brain_flair_healthy_twin"
START_BUNDLE = "brain_mr_healthy_twin"
VARIABLE = "HEALTHYTWIN_BUNDLE"
_WEIGHTS = "models/model.pt"
_SHIPPED = Path(__file__).resolve().parent.parent / "bundles"


def find_bundle(option: Path | None = None) -> Path:
    """The folder of the bundle to run.

    In this order: the option, a folder or the name of an installed bundle; the environment variable
    `HEALTHYTWIN_BUNDLE`; and `bundles/brain_flair_healthy_twin` beside this package.

    Raises:
        CommandError: there is no bundle there.
    """
    if option is not None:
        folder, told_by = _by_name(option), "--bundle"
    elif variable := os.environ.get(VARIABLE):
        folder, told_by = Path(variable), f"${VARIABLE}"
    else:
        folder, told_by = shipped_bundle(), "the default bundle"
    if not (folder / "configs" / "metadata.json").is_file():
        what = "there is no configs/metadata.json in it" if folder.is_dir() else "there is no such folder"
        names = ", ".join(path.name for path in installed_bundles())
        msg = f"{folder}: not a bundle ({told_by}): {what}; use a bundle's folder or one of these names: {names}"
        raise CommandError(msg)
    return folder.resolve()


def is_named() -> bool:
    """Does the environment name the bundle?"""
    return bool(os.environ.get(VARIABLE))


def by_name(name: str) -> Path | None:
    """The folder of the installed bundle of a name, with its weights; None: it is not installed."""
    return next((path for path in installed_bundles() if path.name == name and (path / _WEIGHTS).is_file()), None)


def _by_name(option: Path) -> Path:
    """The folder that an option names, or that of the installed bundle of this name."""
    if not option.exists() and option.name == str(option):
        return next((path for path in installed_bundles() if path.name == option.name), option)
    return option


def pinned(option: Path | None, sha256: str | None) -> Path | None:
    """The bundle that an option names, once it is seen to be the one that is meant, before anything of it is loaded.

    Args:
        option: of `find_bundle`.
        sha256: of all its files, as `anomaly.bundle.bundle_sha256` gives it; None: any bundle will do.

    Raises:
        CommandError: it is another one.
    """
    if sha256 is None:
        return option
    root = find_bundle(option)
    check_trusted(root, [sha256])
    return root


def check_trusted(root: Path, trusted: Sequence[str]) -> None:
    """Raise `CommandError` where the bundle at `root` is none of those that are trusted, by their SHA-256."""
    from anomaly.bundle import bundle_sha256

    found = bundle_sha256(root)
    if found not in {one.strip().lower() for one in trusted}:
        msg = f"{root}: not trusted: the SHA-256 of its files is {found}, which is none of those that are asked for"
        raise CommandError(msg)


def shipped_bundle() -> Path:
    """The folder of the default bundle, whatever the environment says."""
    return _SHIPPED / DEFAULT_BUNDLE


def start_bundle() -> Path:
    """The folder of the bundle that a training begins with: the one whose weights anybody may use, and sell."""
    return by_name(START_BUNDLE) or shipped_bundle()


def installed_bundles() -> list[Path]:
    """The folders of the bundles that came with this package, by name."""
    return sorted(path.parent.parent for path in _SHIPPED.glob("*/configs/metadata.json"))


def modalities(bundle: Path) -> list[str] | None:
    """DICOM modalities of a bundle's images, by its metadata; None where it does not say.

    Raises:
        BundleError: the metadata cannot be read, or are none.
    """
    from anomaly.bundle import BundleError, load_metadata

    try:
        inputs = load_metadata(bundle).get("network_data_format", {}).get("inputs", {}).values()
        said = {entry.get("modality") for entry in inputs}
    except (AttributeError, TypeError) as error:
        msg = f"{bundle / 'configs' / 'metadata.json'}: network_data_format.inputs says nothing of a bundle's images"
        raise BundleError(msg) from error
    from data_prep.dicom.picture import PICTURE_MODALITIES

    return sorted(said & {"MR", "CT", "PT", *PICTURE_MODALITIES}) or None


def is_of_pictures(bundle: Path) -> bool:
    """Does a bundle examine pictures, images of one slice? By the shape of its input in its metadata."""
    from anomaly.bundle import load_metadata

    inputs = load_metadata(bundle).get("network_data_format", {}).get("inputs", {}).values()
    return any(list(entry.get("spatial_shape", ()))[2:] == [1] for entry in inputs)


def sequences(bundle: Path) -> list[str]:
    """The sequences of a visit that a bundle looks at, by its `configs/inference.yaml`; empty: it looks at one scan."""
    import yaml

    path = bundle / "configs" / "inference.yaml"
    if not path.is_file():
        return []
    said = yaml.safe_load(path.read_text(encoding="utf-8")).get("sequences")
    return [str(name) for name in said] if isinstance(said, list) else []


class Wanted(TypedDict):
    """What a bundle looks at; see `modalities`, `sequences` and `is_of_pictures`."""

    modalities: list[str] | None
    sequences: list[str]
    flat: bool


def wanted_by(bundle: Path) -> Wanted:
    """The modalities and sequences of a bundle's images."""
    return Wanted(modalities=modalities(bundle), sequences=sequences(bundle), flat=is_of_pictures(bundle))


def load(bundle: Path, *, device: str | None, calibration: Path | None = None, precision: str = "auto") -> Detector:
    """The detector of a bundle, with its own calibration or one that the site has made.

    Raises:
        CommandError: there is no such device here, or no such precision.
        BundleError: the bundle is incomplete or its files do not belong together.
    """
    from anomaly import load_detector

    return load_detector(
        bundle,
        device=_checked(device),
        calibration=calibration,
        free_memory=free_bytes,
        precision=check_precision(precision),
    )


def check_precision(name: str) -> str:
    """The name; raises `CommandError` where there is no such precision."""
    from anomaly.precision import PRECISIONS

    if name not in PRECISIONS:
        msg = f"--precision is one of {', '.join(PRECISIONS)}, got {name!r}"
        raise CommandError(msg)
    return name


def _checked(device: str | None) -> str | None:
    check_device(device)
    if device is None:
        return None
    import torch

    try:
        kind = torch.device(device).type
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        msg = f"--device {device}: not available here: {str(error).splitlines()[0]}"
        raise CommandError(msg) from error
    return kind if kind == "cpu" else device
