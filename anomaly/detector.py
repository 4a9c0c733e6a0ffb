"""`load_detector(bundle)(volume) -> Finding`: a bundle as a callable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import Compose
from torch import nn

from anomaly.bundle import WEIGHTS, BundleError, bundle_id, load_calibration
from anomaly.engines.examination import Maps, examine_prepared
from anomaly.engines.regrid import to_source
from anomaly.engines.shortage import SMALL_SLABS, is_shortage
from anomaly.finding import Finding
from anomaly.images import as_volume
from anomaly.method import COMPOSITE
from anomaly.precision import name_of, reduced
from anomaly.scoring.assess import Examination, Subject, assess
from anomaly.volume import VolumeLike, channels_of, check_volume, named_flags, shown_channel

Array = np.ndarray
_MISSING = "n/a"  # what bundles' readers take for a sequence that is not there


def _not_known() -> int | None:
    """How much memory is free."""
    return None


class Detector:
    """The preprocessing, network and calibration of one bundle.

    Args:
        root: the bundle's folder, with `configs/inference.yaml`, `models/model.pt` and `models/calibration.json`.
        device: where the network runs; None: CUDA where there is one, else the CPU.
        calibration: a file that `healthytwin calibrate` has made; None: the bundle's own.
        free_memory: bytes that may still be taken, asked before every examination on the CPU; where they are plainly
            too few, or have run out, the network computes fewer slices at once, and the finding has the flag
            `small_slabs`. None: not known.
        precision: of the network's arithmetic: "fp32", "bf16", or "auto", which is the bundle's choice and, where that
            is "auto" too, what the device is fastest at; see `anomaly.precision`.

    Raises:
        ValueError: there is no such precision.
        BundleError: the bundle is incomplete, or its weights are not the calibrated ones.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        device: str | torch.device | None = None,
        calibration: str | Path | None = None,
        free_memory: Callable[[], int | None] = _not_known,
        precision: str = "auto",
    ) -> None:
        self._made_with: dict[str, Any] = {
            "device": None if device is None else str(device),
            "calibration": calibration,
            "free_memory": free_memory,
            "precision": precision,
        }
        self.root = Path(root)
        self.free_memory = free_memory
        self._load: Any = None
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        reduced(self.device, precision)  # before a config is blamed for it
        self.calibration = load_calibration(self.root, calibration)
        self.bundle = bundle_id(self.root, self.calibration)
        with _naming(self.root / "configs" / "inference.yaml"):
            parser = _parse(self.root, self.device)
            self.network: nn.Module = parser.get_parsed_content("network")
            self.inferer = parser.get_parsed_content("inferer")
            self._prepare = Compose(parser.get_parsed_content("prepare"))
            self.flat = (parser.get("network_def") or {}).get("spatial_dims") == 2
            self.dtype = reduced(self.device, bundle_precision(parser, precision))
            self.sequences = tuple(parser.get("sequences") or ())
        _load_weights(self.network, self.root / WEIGHTS)
        self.network.eval()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as the bundle's place and the options: another process loads it anew."""
        return partial(Detector, **self._made_with), (self.root.resolve(),)

    def __repr__(self) -> str:
        """In one line."""
        seen = f", {' + '.join(self.sequences)}" if self.sequences else ""
        bundle = f"{self.bundle.name} {self.bundle.version}"
        return f"<Detector {bundle}{seen}, {self.device}, {name_of(self.dtype)}>"

    def __call__(self, volume: Any, *, affine: Any = None, case: str = "") -> Finding:
        """The `Finding` of a volume; see `examine`."""
        return self.examine(volume, affine=affine, case=case).finding

    def load(self, path: Any) -> MetaTensor:
        """An image as the bundle reads it, `(C, i, j, k)`.

        Args:
            path: of a file or series; or a list, the sequences of one visit, None for one that is missing.
        """
        several = isinstance(path, list | tuple)
        image = [_MISSING if one is None else str(one) for one in path] if several else str(path)
        if self._load is None:
            parser = _parse(self.root, self.device)
            self._load = Compose(parser.get_parsed_content("load"))
        loaded: MetaTensor = self._load({"image": image})["image"]
        return loaded

    def prepare(self, volume: VolumeLike) -> MetaTensor:
        """What the network sees of a volume: `(C, *spatial)` in [0, 1], on the CPU, with its affine.

        Raises:
            VolumeError: the volume must not be examined, such as one with a voxel that is no number.
        """
        check_volume(volume, flat=self.flat)
        arrays = channels_of(volume, self.sequences)
        stacked = torch.as_tensor(np.stack([np.asarray(array, dtype=np.float32) for array in arrays]))
        affine = torch.as_tensor(np.asarray(volume.affine, dtype=np.float64))
        image = MetaTensor(stacked, affine=affine, meta={"original_affine": affine.numpy()})
        prepared: MetaTensor = self._prepare({"image": image})["image"]
        return prepared

    def examine(self, volume: Any, *, affine: Any = None, case: str = "") -> Examination:
        """Examine an image.

        Args:
            volume: an `array` `(i, j, k)` with an `affine`, and `sequences`, `(i, j, k)` or None each, where the
                bundle looks at several; `source`, `series_uid`, `input_hash` and `flags` are
                taken over where it has them.
                Or a path, an image of nibabel or SimpleITK, a MetaTensor, an array or tensor with `affine`, or a list
                of these for several sequences; see `anomaly.images.as_volume`.
            affine: 4 x 4, voxel to RAS+ mm, of an array or a tensor.
            case: its name; by default the name of its source.

        Returns:
            Finding, mask, score map and, where the method draws one, healthy twin, on the volume's own grid.

        Raises:
            VolumeError: as of `prepare`.
        """
        volume = as_volume(volume, affine=affine, load=self.load)
        clock = {"start": time.perf_counter()}
        image = self.prepare(volume)
        clock["prepare"] = time.perf_counter()
        maps = self.run(image, (COMPOSITE,))
        clock["network"] = time.perf_counter()
        place = np.asarray(volume.affine, dtype=np.float64)
        shown = shown_channel(volume)
        changes = [(composite - image.as_tensor())[shown : shown + 1] for composite in maps.others.values()]  # or none
        stacked = torch.cat([maps.score, *changes])
        score_map, *changed = to_source(stacked, image.affine.numpy(), source_affine=place, shape=volume.array.shape)
        np.clip(score_map, 0, 1, out=score_map)
        clock["invert"] = time.perf_counter()
        timings = {step: clock[step] - clock[before] for before, step in pairwise(clock)}
        return assess(
            score_map,
            place,
            score=maps.image_score,
            subject=_subject(volume, case, (SMALL_SLABS,) if maps.small_slabs else (), self.sequences),
            calibration=self.calibration,
            bundle=self.bundle,
            timings=timings,
            appearance=maps.appearance,
            twin=_twin(volume, image, changed[0], shown) if changed else None,
            window=image.meta.get("window"),
            image=np.asarray(volume.array),
            precision=name_of(self.dtype),
        )

    def healthy(self, volume: VolumeLike) -> tuple[Array, dict[str, float]]:
        """What `HealthyScores` takes in of a volume: scores of its body's voxels `(n,)`, and its appearance."""
        maps = self.run(self.prepare(volume))
        return maps.score[0].numpy()[maps.body], maps.appearance

    def run(self, image: MetaTensor, wanted: Sequence[str] = ()) -> Maps:
        """What the method says of a prepared image; see `examine_prepared`."""
        return examine_prepared(
            self.network,
            image,
            inferer=self.inferer,
            device=self.device,
            wanted=wanted,
            dtype=self.dtype,
            free_memory=self._free_bytes(),
        )

    def _free_bytes(self) -> int | None:
        if self.device.type == "cuda":
            cached = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
            return torch.cuda.mem_get_info(self.device)[0] + cached
        return self.free_memory()


def load_detector(
    root: str | Path,
    *,
    device: str | torch.device | None = None,
    calibration: str | Path | None = None,
    free_memory: Callable[[], int | None] = _not_known,
    precision: str = "auto",
) -> Detector:
    """The detector of the bundle at `root`; see `Detector`.

    A volume is anything with an `array` `(i, j, k)` and an `affine`, such as `data_prep.read_volume` gives:

    >>> from types import SimpleNamespace
    >>> from anomaly import bundle_root
    >>> x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in (64, 64, 6)), indexing="ij")
    >>> head = SimpleNamespace(array=300.0 * (x**2 + y**2 < 0.7), affine=np.diag([3.0, 3.0, 5.5, 1.0]))
    >>> detector = load_detector(bundle_root("brain_flair_healthy_twin"), device="cpu")
    >>> finding = detector(head, case="disc")
    >>> finding.case, finding.bundle.name, 0 <= finding.score <= 1, 0 < finding.p_value <= 1
    ('disc', 'brain_flair_healthy_twin', True, True)

    `examine` also gives the arrays, on the volume's own grid:

    >>> exam = detector.examine(head, case="disc")
    >>> exam.mask.shape, exam.score.shape, exam.twin.shape
    ((64, 64, 6), (64, 64, 6), (64, 64, 6))
    """
    return Detector(root, device=device, calibration=calibration, free_memory=free_memory, precision=precision)


def bundle_precision(config: Any, precision: str = "auto") -> str:
    """The precision that was asked for, or where that is "auto", the bundle's.

    Args:
        config: of the bundle, by key; "auto" where it does not say, unless its evaluator has `amp: false`.
        precision: asked for.
    """
    if precision != "auto":
        return precision
    evaluator = config.get("evaluator") or {}
    return str(config.get("precision", "fp32" if evaluator.get("amp") is False else "auto"))


def _parse(root: Path, device: torch.device) -> ConfigParser:
    """The bundle's `configs/inference.yaml`, ready to instantiate."""
    path = root / "configs" / "inference.yaml"
    if not path.is_file():
        msg = f"{path}: no inference config"
        raise BundleError(msg)
    parser = ConfigParser()
    parser.read_config(str(path))
    parser["bundle_root"] = str(root)
    parser["device"] = f"$torch.device('{device}')"
    return parser


@contextmanager
def _naming(config: Path) -> Iterator[None]:
    """Whatever a bundle's config makes go wrong is told with its name: it is the bundle's fault."""
    try:
        yield
    except Exception as error:
        if isinstance(error, BundleError) or is_shortage(error):
            raise
        cause = error
        while cause.__cause__ is not None and isinstance(cause.__cause__, Exception):
            cause = cause.__cause__  # MONAI wraps what a config's target raises
        msg = f"{config}: cannot be built: {type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
        raise BundleError(msg) from error


def _load_weights(network: nn.Module, path: Path) -> None:
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # a file that is no checkpoint, or a pickle of anything else, fails in many ways
        if is_shortage(error):
            raise
        msg = f"{path}: not the weights of this bundle's network: {' '.join(str(error).split())[:300]}"
        raise BundleError(msg) from error


def _subject(volume: VolumeLike, case: str, flags: tuple[str, ...], sequences: tuple[str, ...]) -> Subject:
    source = str(getattr(volume, "source", ""))
    return Subject(
        case=case or Path(source).name.removesuffix(".gz").removesuffix(".nii") or "volume",
        input_hash=getattr(volume, "input_hash", ""),
        series_uid=getattr(volume, "series_uid", None),
        flags=(*named_flags(getattr(volume, "flags", ()), sequences), *flags),
    )


def _twin(volume: VolumeLike, image: MetaTensor, change: Array, shown: int) -> Array:
    """The image made healthy, in the source's units: `change`, in those of the network, becomes it in place."""
    scales = np.atleast_1d(image.meta.get("intensity_scale", 1.0))
    change /= float(scales[shown] if len(scales) > 1 else scales[0])
    change += volume.array
    return change
