"""A new bundle from the shipped one: its configs, with the settings that follow from a cohort's fingerprint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.machine.files import write_whole

if TYPE_CHECKING:
    from data_prep import Fingerprint

_CONFIGS = ("train", "evaluate", "inference")
_SLAB = {True: (96, 96, 8), False: (64, 64, 32)}  # voxels in one training window, thick slices or not
_STRIDE = 32  # of the encoder
_FAMILIES = ["shift", "shift", "shift", "plateau", "plateau", "plateau", "foreign", "coarse_noise", "blur", "displace"]
_HELD_OUT = ["cored", "scattered"]  # to be seen in any scan, unlike a patch without a seam or another texture


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one bundle's configs say differently from the template's.

    Args:
        prepare: the invertible transforms from a volume to what the network sees; all three configs.
        train: keys of `train.yaml` and their values; `a::b` reaches inside.
        shared: the same for all three configs.
    """

    prepare: list[dict[str, Any]]
    train: Mapping[str, Any] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)


def plan_for(fingerprint: Fingerprint) -> Plan:
    """A plan for scans of any organ: see `docs/how-to/train-your-own.md` for the rules."""
    pixdim = [round(step, 3) for step in fingerprint.pixdim]
    loose = (0.45, 1.45) if fingerprint.thick else (1.0, 1.0)
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
    slab = [_window(size, most) for size, most in zip(fingerprint.shape, _SLAB[fingerprint.thick], strict=True)]
    slab[2] = min(_SLAB[fingerprint.thick][2], max(1, fingerprint.shape[2]))
    ratio = pixdim[0] / pixdim[2]
    return Plan(
        prepare=[orientation, spacing, {"_target_": "data_prep.NormalizeTissued", "keys": "image"}],
        train={
            "slab": slab,
            "families": _FAMILIES,
            "held_out_families": _HELD_OUT,
            "radius": [3.0, round(min(24.0, 0.2 * max(fingerprint.shape[:2])), 1)],
            "slice_ratio": [round(0.7 * ratio, 2), round(max(1.2, 2 * ratio), 2)],
            "region": [{"_target_": "data_prep.TissueRegiond", "keys": "image"}],
        },
        shared={"network_def::slice_stride": 1 if fingerprint.thick else 2, "zooms": []},
    )


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
        changes |= plan.train if config == "train" else {}
        write_whole(root / "configs" / f"{config}.yaml", _changed(text, changes))
    for file in ("configs/logging.conf", "LICENSE"):
        write_whole(root / file, (template / file).read_bytes())
    known = load_metadata(template)
    write_whole(root / "configs" / "metadata.json", json.dumps({**known, **metadata}, indent=2) + "\n")


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
