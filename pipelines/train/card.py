"""The texts of a bundle that a site has trained: what it is, what it learned from, what it cannot promise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.machine.files import write_whole

_CARD = """# {name}

Made by `healthytwin train` from healthy scans of one site. **For research only; not a medical device, not for
diagnosis.**

## Data

{training} scans to train, {validation} scans of other patients to choose the checkpoint and to calibrate; no label.
All scans are brought to the orientation {axcodes}, {pixdim} mm, at most {shape} voxels.

## Training

{minutes:.0f} minutes; settings beside those of `configs/train.yaml`: {changes}. The checkpoint is the one with the best
voxel AP ({voxel_ap}) on anomalies of families that were not trained on, planted in the validation scans.

## Calibration

{promise}.

## Limitations

- Of scans unlike these (another scanner, sequence, organ, age) its output is not meaningful.
- It finds what looks unlike its healthy scans, and does not say what that is. Small and faint lesions are missed.
- It was measured on planted anomalies only. Measure it on lesions of your own (`healthytwin evaluate`) before you
  trust it.
"""

_LICENCE = """Data used to make the weights of this bundle
===========================================

1. Scans of the site that ran `healthytwin train`. Name here whose they are, and under what licence the weights may be
   passed on.
"""


def write_card(root: Path, record: Mapping[str, Any], *, changes: Mapping[str, Any], licence_from: Path | None) -> None:
    """Write `docs/README.md` and `docs/data_license.txt`.

    Args:
        root: the bundle.
        record: of the training, see `pipelines.train.run.TrainRecord`.
        changes: settings that were given on the command line.
        licence_from: the bundle whose weights it began with; its licence binds these weights, too.
    """
    fingerprint = record["fingerprint"]
    named = {
        key: value for key, value in changes.items() if key not in ("resume", "initial_weights") and value is not None
    }
    best = record["voxel_ap"]
    text = _CARD.format(
        name=root.resolve().name,
        training=record["training"],
        validation=record["validation"],
        axcodes=fingerprint["axcodes"],
        pixdim=" x ".join(f"{step:.3g}" for step in fingerprint["pixdim"]),
        shape=" x ".join(map(str, fingerprint["shape"])),
        minutes=record["seconds"] / 60,
        changes="; ".join(f"{key} {_words(value)}" for key, value in named.items()) or "none",
        voxel_ap="not measured" if best is None else f"{best:.3f}",
        promise=record["promise"].capitalize(),
    )
    write_whole(root / "docs" / "README.md", text)
    licence = _LICENCE
    if licence_from is not None:
        inherited = (licence_from / "docs" / "data_license.txt").read_text(encoding="utf-8")
        licence += (
            f"\n2. The training began with the weights of {licence_from.name}, whose terms bind these:\n\n{inherited}"
        )
    write_whole(root / "docs" / "data_license.txt", licence)


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
