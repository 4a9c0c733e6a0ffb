"""A new bundle from the shipped one: its configs, with the settings that follow from a cohort's fingerprint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.machine.files import write_whole
from pipelines.train import pictures
from pipelines.train.choices import Choices
from pipelines.train.pictures import MOST_OF_PICTURE

if TYPE_CHECKING:
    from data_prep import Fingerprint

_CONFIGS = ("train", "evaluate", "inference")
_SLAB = {True: (96, 96, 8), False: (64, 64, 32)}  # voxels in one training window, thick slices or not
_STRIDE = 32  # of the encoder
_FAMILIES = ["shift", "shift", "shift", "plateau", "plateau", "plateau", "foreign", "coarse_noise", "blur", "displace"]
_AS_MEASURED: Mapping[str, Mapping[str, Any]] = {  # HU mean the same in every scan: training leaves them alone
    "RandAdjustContrastd": {"prob": 0.0},
    "RandBiasFieldd": {"prob": 0.0},
    "RandScaleIntensityd": {"factors": 0.03},
}
_FOUND = {
    "inference": "$data_prep.list_items(@dataset_dir, allow_gaps=@allow_gaps, sequences=@sequences)",
    "evaluate": "$data_prep.list_items(@dataset_dir, @section, sequences=@sequences)",
}
_DROPPED = 0.3  # of the training windows, from which a sequence or more are taken away: one may be missing
_HELD_OUT = ["cored", "scattered"]  # to be seen in any scan, unlike a patch without a seam or another texture


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one bundle's configs say differently from the template's.

    Args:
        prepare: the invertible transforms from a volume to what the network sees; all three configs.
        train: keys of `train.yaml` and their values; `a::b` reaches inside.
        shared: the same for all three configs.
        slabs: of the random transforms of training, by target, the arguments that differ.
        of: the same for one config alone, by its name.
    """

    prepare: list[dict[str, Any]]
    train: Mapping[str, Any] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)
    slabs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    of: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def windows(self) -> list[list[float]]:
        """Of CT, in HU; empty: the scans are no CT."""
        return next((step["windows"] for step in self.prepare if "windows" in step), [])

    @property
    def scaling(self) -> str:
        """How intensities become numbers from 0 to 1, in words."""
        if not self.windows:
            return "the median of tissue scaled to 0.35"
        words = " and ".join(f"{low:g} to {high:g}" for low, high in self.windows)
        return f"{words} HU scaled to 0.05 to 1 in the body, 0 beside it"


def plan_for(
    fingerprint: Fingerprint,
    *,
    window: tuple[float, float] | None = None,
    sequences: Sequence[str] = (),
    choices: Choices | None = None,
) -> Plan:
    """A plan for scans of any organ: see `docs/how-to/train-your-own.md` for the rules.

    Args:
        fingerprint: of the scans.
        window: of CT, HU; None: the scans are no CT.
        sequences: of a visit, at least two; empty: a case is one scan.
        choices: what is wanted otherwise.
    """
    choices = choices or Choices()
    pixdim = [round(step, 3) if step >= 0.1 else float(f"{step:.4g}") for step in fingerprint.pixdim]
    flat = fingerprint.flat
    most = (MOST_OF_PICTURE, MOST_OF_PICTURE, 1) if flat else _SLAB[fingerprint.thick]
    slab = [_window(size, limit) for size, limit in zip(fingerprint.shape, most, strict=True)]
    slab[2] = min(most[2], max(1, fingerprint.shape[2]))
    ratio = pixdim[0] / pixdim[2]
    radius = choices.radius and [round(max(1.0, length / pixdim[0]), 2) for length in choices.radius]
    windows = choices.windows or ([window] if window else [])
    scale, region, slabs, darker = _intensities(windows)
    channels = max(1, len(sequences)) * max(1, len(windows))
    planting = _planting(choices.darker if choices.darker is not None else darker, sequences, channels)
    train: dict[str, Any] = {
        "slab": slab,
        "families": _FAMILIES,
        "held_out_families": _HELD_OUT,
        "radius": [3.0, round(min(24.0, 0.2 * max(fingerprint.shape[:2])), 1)],
        "slice_ratio": [round(0.7 * ratio, 2), round(max(1.2, 2 * ratio), 2)],
        "region": [region],
        **{f"validate::planting::0::{key}": value for key, value in planting.items() if key != "drop"},
        **({} if channels == 1 else {"discriminator_def::inputs": channels}),
        **(pictures.training(fingerprint) if flat else {}),
        **({"radius": radius} if radius else {}),
        **({} if choices.min_lesion is None else {"calibration::handlers::1::min_lesion_ml": choices.min_lesion}),
    }
    return Plan(
        prepare=[*_grid(fingerprint, pixdim), scale],
        train=train,
        shared={
            "network_def::slice_stride": 1 if fingerprint.thick else 2,
            "zooms": [],
            **(pictures.SHARED if flat else {}),
            **({} if channels == 1 else {"network_def::channels": channels}),
            **({"sequences": list(sequences)} if len(sequences) > 1 else {}),
        },
        slabs={**slabs, "PlantAnomalyd": planting} if planting else slabs,
        of=pictures.OF if flat else {},
    )


def _planting(darker: float | None, sequences: Sequence[str], channels: int) -> dict[str, Any]:
    """How anomalies are planted: how many are dark, and in channels that are windows of one CT alike."""
    planting: dict[str, Any] = {} if darker is None else {"darker": darker}
    if channels > 1:
        planting["linked"] = len(sequences) < 2
    return planting | ({"drop": _DROPPED} if len(sequences) > 1 else {})


def _grid(fingerprint: Fingerprint, pixdim: list[float]) -> list[dict[str, Any]]:
    """Orientation and voxel size, of thick slices within bounds."""
    loose = (0.45, 1.45) if fingerprint.thick and fingerprint.chosen is None else (1.0, 1.0)
    spacing = {
        "_target_": "Spacingd",
        "keys": "image",
        "pixdim": pixdim,
        "min_pixdim": [*pixdim[:2], round(pixdim[2] * loose[0], 3)],
        "max_pixdim": [*pixdim[:2], round(pixdim[2] * loose[1], 3)],
        "mode": "bilinear",
    }
    orientation = {
        "_target_": "Orientationd",
        "keys": "image",
        "axcodes": fingerprint.axcodes,
        "labels": [["L", "R"], ["P", "A"], ["I", "S"]],
    }
    return [orientation, pictures.size_step(fingerprint) if fingerprint.flat else spacing]


def _intensities(
    windows: Sequence[tuple[float, float]],
) -> tuple[dict[str, Any], dict[str, Any], Mapping[str, Mapping[str, Any]], float | None]:
    """How intensities are scaled, where anomalies lie, what training does not do to them, and how many are dark."""
    image = {"keys": "image"}
    if not windows:
        scale, region = {"_target_": "data_prep.NormalizeTissued"}, {"_target_": "data_prep.TissueRegiond"}
        return scale | image, region | image, {}, None
    seen = {"windows": [list(window) for window in windows]}
    region = {"_target_": "data_prep.WindowRegiond"}
    return {"_target_": "data_prep.NormalizeWindowd", **image, **seen}, region | image, _AS_MEASURED, 0.5


def write_bundle(root: Path, template: Path, plan: Plan, *, metadata: Mapping[str, Any]) -> None:
    """Write the configs of a new bundle; `models/` and the texts of `docs/` come later.

    Args:
        root: the new bundle; files of the same names are replaced.
        template: the bundle that they are taken from.
        plan: what is different.
        metadata: keys of `metadata.json` that are different; `name` among them.
    """
    from anomaly.bundle import load_metadata

    (root / "configs").mkdir(parents=True, exist_ok=True)
    (root / "docs").mkdir(exist_ok=True)
    name = str(metadata["name"])
    for config in _CONFIGS:
        text = (template / "configs" / f"{config}.yaml").read_text(encoding="utf-8")
        changes = {"bundle_root": f"$anomaly.bundle_root('{name}')", **plan.shared, "prepare": plan.prepare}
        if "sequences" in plan.shared and config in _FOUND:
            changes["dataset::data"] = _FOUND[config]
        if config == "train":
            changes |= {**plan.train, **_of_slabs(text, plan.slabs)}
        changes |= plan.of.get(config, {})
        write_whole(root / "configs" / f"{config}.yaml", _changed(text, changes))
    for file in ("configs/logging.conf", "LICENSE"):
        write_whole(root / file, (template / file).read_bytes())
    known = load_metadata(template)
    write_whole(root / "configs" / "metadata.json", json.dumps({**known, **metadata}, indent=2) + "\n")


def _of_slabs(text: str, slabs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Changes of the random transforms in a `train.yaml`, found by their targets."""
    steps = _yaml().load(text)["train"]["slabs"]
    return {
        f"train::slabs::{index}::{key}": value
        for index, step in enumerate(steps)
        for key, value in slabs.get(step["_target_"].rpartition(".")[2], {}).items()
    }


def _changed(text: str, changes: Mapping[str, Any]) -> str:
    """A YAML config with some values replaced or added; what is not changed stays as it is, comments too.

    Args:
        text: the config.
        changes: `key` or `key::inner::0`, as MONAI's `ConfigParser` has it, and the value.
    """
    yaml = _yaml()
    config = yaml.load(text)
    for key, value in changes.items():
        *place, last = key.split("::")
        target = config
        for step in place:
            target = target[int(step) if isinstance(target, list) else step]
        target[int(last) if isinstance(target, list) else last] = _inline(value)
    written = StringIO()
    yaml.dump(config, written)
    return written.getvalue()


def _yaml() -> Any:
    """Reads and writes YAML in the manner of our configs: two spaces, `null` as a word, no references back."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 118
    yaml.preserve_quotes = True
    yaml.representer.ignore_aliases = lambda _: True
    yaml.representer.add_representer(type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null"))
    return yaml


def _inline(value: Any) -> Any:
    """The value, its lists without dictionaries on one line each."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, dict):
        return CommentedMap({key: _inline(inner) for key, inner in value.items()})
    if not isinstance(value, list | tuple):
        return value
    made = CommentedSeq([_inline(inner) for inner in value])
    if not any(isinstance(inner, dict) for inner in value):
        made.fa.set_flow_style()
    return made


def _window(size: int, most: int) -> int:
    """The largest multiple of the encoder's stride that is at most `most` and not far beyond `size`."""
    return max(_STRIDE, min(most, -(-size // _STRIDE) * _STRIDE))
