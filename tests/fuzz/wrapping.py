"""`python -m tests.fuzz.wrapping`: each element of real headers removed, emptied and made illegal, through the outputs.

Inference is not repeated: what is tried is the way from a header to segmentation, report and capture. Nothing may be
lost, and what cannot be made must say for want of which element.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.datadict import dictionary_has_tag, keyword_for_tag

from anomaly.finding import BundleId
from anomaly.scoring.assess import Examination, Subject, assess
from anomaly.scoring.calibration import Calibration
from data_prep import InputError, Volume, discover
from pipelines.machine.provenance import commit, machine
from pipelines.outputs.modules import tags
from pipelines.outputs.rules import OutputRules
from pipelines.outputs.stored import FAILED
from pipelines.outputs.table import Examined, extras
from pipelines.outputs.write import write_case
from tests.fuzz.elements import EMPTIED, REMOVED, Encoded, Path_, illegal_values

GENERIC = ("anatomical/001", "anatomical/001_implicit", "anatomical/002_non_isotropic")
PACKED = ("compressed_rle/001", "compressed_jpegls/001", "compressed_j2k/001", "compressed_jpeg/001")
SERIES = (
    *(f"dicom/generic/{name}" for name in (*GENERIC, *PACKED)),
    "dicom/philips/anatomical/001",
    "dicom/philips_enhanced/anatomical/001",
    "brainix/FLAIR",
)
_RULES = OutputRules(picture=False, viewer=False, sc=True)
_SLICES = 3  # of a series: enough for a volume
_PICTURE = Path(__file__).parents[2] / "docs" / "demo.png"
_CALIBRATION = Calibration(
    weights_sha256="ab" * 32,
    voxel_threshold=0.5,
    voxel_false_positive_rate=0.005,
    image_scores=[0.3, 0.4],
    alpha=0.4,
    min_lesion_ml=0.01,
    cases=["a", "b"],
)


@dataclass(frozen=True)
class Variant:
    """One change to all files of a series."""

    series: str
    path: Path_
    way: str | bytes

    @property
    def name(self) -> str:
        """For people."""
        words = [keyword_for_tag(tag) if dictionary_has_tag(tag) else f"{tag:08x}" for tag in self.path]
        return f"{self.series} {'/'.join(words)} {self.way if isinstance(self.way, str) else repr(self.way[:24])}"


@dataclass
class Tally:
    """What became of the variants."""

    variants: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    complete: int = 0
    lost: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)


class Series:
    """A real series, cut to a few slices, and the one result that is written for all of its variants."""

    def __init__(self, name: str, folder: Path) -> None:
        paths = sorted(path for path in folder.iterdir() if path.is_file())[:_SLICES]
        self.name, self.files = name, {path.name: Encoded.of(path) for path in paths}
        with tempfile.TemporaryDirectory() as scratch:
            for file, encoded in self.files.items():
                Path(scratch, file).write_bytes(encoded.start + b"".join(map(encoded.parts.get, sorted(encoded.parts))))
            (found,) = [one for one in discover(Path(scratch)) if not one.code]
            self.shape = found.volume().array.shape

    def variants(self) -> list[Variant]:
        """Every element, each way; what a header lacks of patient, study and equipment, with illegal values."""
        first = next(iter(self.files.values()))
        ways = {path: [REMOVED, EMPTIED, *illegal_values(path[-1])] for path in first.paths()}
        ways |= {(tag,): illegal_values(tag) for tag in tags() if tag not in first.parts}
        return [Variant(self.name, path, way) for path, every in ways.items() for way in every]

    def write(self, variant: Variant, folder: Path) -> None:
        """The series with the change."""
        for name, encoded in self.files.items():
            (folder / name).write_bytes(encoded.with_change(variant.path, variant.way))

    def examination(self, affine: np.ndarray, case: str) -> Examination:
        """Two lesions, wherever the header puts the voxels."""
        score = np.zeros(self.shape, np.float32)
        i, j, _ = self.shape
        score[i // 4 : i // 3, j // 4 : j // 3, :2] = 0.9
        score[i // 2 : i // 2 + 3, j // 2 : j // 2 + 4, 1:] = 0.7
        bundle = BundleId(name="fuzz", version="1", weights_sha256="ab" * 32)
        subject = Subject(case=case)
        return assess(score, affine, score=0.9, subject=subject, calibration=_CALIBRATION, bundle=bundle, timings={})


def run(
    every: dict[str, Series], variants: Sequence[Variant], on_hundred: Callable[[Tally], None] = lambda _: None
) -> Tally:
    """Write the outputs of every variant; `on_hundred` sees the tally after each hundred."""
    tally = Tally()
    for variant in variants:
        tally.variants += 1
        with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, of what is illegal
            source, out = Path(scratch, "in"), Path(scratch, "out")
            source.mkdir()
            out.mkdir()
            every[variant.series].write(variant, source)
            _judge(tally, variant, every[variant.series], source, out)
        if tally.variants % 100 == 0:
            on_hundred(tally)
    return tally


def _judge(tally: Tally, variant: Variant, series: Series, source: Path, out: Path) -> None:
    """Take one variant through, and note what became of it."""
    try:
        found = list(discover(source))
        one = next((one for one in found if not one.code and one.shape == series.shape), None)
        if one is None:
            tally.refused.update({found[0].code if found else "nothing found": 1})
            return
        volume = one.volume()
    except InputError as error:
        tally.refused.update({error.code: 1})
        return
    try:
        names, exam = _written(series, one, volume, out)
    except Exception as error:
        tally.lost.append(f"{variant.name}: {type(error).__name__}: {error}"[:300])
        return
    if not all((out / names[kind]).is_file() for kind in ("mask", "score", "finding")):
        tally.lost.append(variant.name)
    flags = [flag for flag in exam.finding.flags if FAILED in flag]
    tally.flags.update(flags)
    tally.complete += not flags
    tally.unnamed += [f"{variant.name}: {flag}" for flag in flags if not _is_named(flag)]


def _written(series: Series, one: Any, volume: Volume, out: Path) -> tuple[dict[str, str], Examination]:
    exam = series.examination(volume.affine, one.name)
    examined = Examined(volume=volume, exam=exam, stack=one.stack, key=one.name, rules=_RULES)
    examined.__dict__["picture"] = _PICTURE.read_bytes()  # not drawn anew for each variant
    return write_case(examined, out, extras(_RULES))


def _is_named(flag: str) -> bool:
    """Does a flag name an element of the standard?"""
    from pydicom.datadict import tag_for_keyword

    return tag_for_keyword(flag.partition(FAILED)[2]) is not None


def load(data: Path) -> dict[str, Series]:
    """The real series by name."""
    return {name: Series(name, data / name) for name in SERIES if (data / name).is_dir()}


def _write(path: Path, tally: Tally, series: int) -> None:
    summary = {
        "command": " ".join(["python", "-m", "tests.fuzz.wrapping", *sys.argv[1:]]),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "series": series,
        **{name: dict(value) if isinstance(value, Counter) else value for name, value in vars(tally).items()},
        "machine": machine(1, "cpu"),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(summary, indent=2) + "\n")


def main() -> int:
    """Run, print and write a summary; 1 where a result was lost or an error has no name."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.wrapping", description=__doc__)
    parser.add_argument("--variants", type=int, default=0, help="so many by chance; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("HEALTHYTWIN_DATA", "../shared/data")))
    parser.add_argument("--output", type=Path, default=Path("bench/fuzz-headers.json"))
    options = parser.parse_args()
    every = load(options.data)
    variants = [variant for series in every.values() for variant in series.variants()]
    random.Random(options.seed).shuffle(variants)
    chosen, since = variants[: options.variants or None], time.monotonic()

    def note(tally: Tally) -> None:
        print(f"{tally.variants} of {len(chosen)}, {time.monotonic() - since:.0f} s", file=sys.stderr, flush=True)
        _write(options.output, tally, len(every))

    tally = run(every, chosen, note)
    _write(options.output, tally, len(every))
    for line in (*tally.lost, *tally.unnamed):
        print(line)
    print(f"{tally.variants} variants, {len(tally.lost)} results lost, {len(tally.unnamed)} unnamed: {options.output}")
    return 1 if tally.lost or tally.unnamed else 0


if __name__ == "__main__":
    raise SystemExit(main())
