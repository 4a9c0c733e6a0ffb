"""One examination, the same for detector, evaluator and benchmark: from a prepared image to maps and one score."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from monai.utils import convert_to_numpy
from torch import Tensor, nn

from anomaly.engines.shortage import within_memory
from anomaly.finding import Lesion
from anomaly.method import COMPOSITE, SCORE, TWIN, as_method
from anomaly.precision import autocast
from anomaly.scoring.appearance import appearance
from anomaly.scoring.calibration import Calibration
from anomaly.scoring.lesions import find_lesions
from anomaly.scoring.score import TOP_FRACTION, foreground, image_score

Array = np.ndarray
_BYTES_PER_VOXEL = 700  # that the shipped network takes for each voxel of a pass: less free is plainly too little
_INSTEAD = {COMPOSITE: TWIN}  # a method without a composite has made the whole image healthy


@dataclass(frozen=True, kw_only=True)
class Maps:
    """What a method says of one prepared image, on the image's own grid.

    Args:
        score: the score map, `(1, *spatial)` float32 in [0, 1], on the CPU.
        others: of `twin` and `composite` those that were asked for and that the method has, `(C, *spatial)` each.
        body: where the image shows the body, `(*spatial)` bool.
        image_score: one score of the whole image, in [0, 1].
        appearance: see `anomaly.scoring.appearance`.
        seconds: that the network took.
        cpu_seconds: the same, of all threads.
        small_slabs: was memory short, so that the network computed fewer slices at once?
    """

    score: Tensor
    others: dict[str, Tensor] = field(default_factory=dict)
    body: Array
    image_score: float
    appearance: dict[str, float]
    seconds: float
    cpu_seconds: float
    small_slabs: bool = False


def examine_prepared(
    network: nn.Module,
    image: Tensor,
    *,
    inferer: Callable[..., Tensor],
    device: torch.device,
    wanted: Sequence[str] = (),
    dtype: torch.dtype | None = None,
    top_fraction: float = TOP_FRACTION,
    free_memory: int | None = None,
) -> Maps:
    """Run a method over one prepared image.

    Args:
        network: a `Method`, or any network from image to score map.
        image: `(C, *spatial)` in [0, 1].
        inferer: how to run it, such as `SlabInferer`.
        device: where the network is.
        wanted: of `twin` and `composite`, what is needed beside the score.
        dtype: what convolutions are computed in; None: float32; see `anomaly.precision`.
        top_fraction: see `image_score`.
        free_memory: bytes that may still be taken; None: not known.

    Raises:
        MemoryError: memory did not suffice, even for the smallest slabs.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    batch = (image.as_tensor() if hasattr(image, "as_tensor") else image)[None].to(device)  # type: ignore[operator]
    call = _Stacked(network, wanted)
    needed = _BYTES_PER_VOXEL * batch[..., : getattr(inferer, "slices", None)].numel()
    with torch.inference_mode(), autocast(device, dtype):
        found, is_short = within_memory(network, lambda: inferer(batch, call), needed=needed, free=free_memory)
    score, *others = torch.split(found[0].float().cpu(), call.sizes or [1])
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    seen, body = seen_of(convert_to_numpy(image))
    return Maps(
        score=score,
        others=dict(zip(call.names, others, strict=True)),
        body=body,
        image_score=image_score(score[0].numpy(), body, fraction=top_fraction),
        appearance=appearance(seen, body),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        small_slabs=is_short,
    )


def seen_of(channels: Array) -> tuple[Array, Array]:
    """One image of several channels, and the body that any of them shows.

    Args:
        channels: `(C, *spatial)` in [0, 1]; one that is 0 throughout is missing.

    Returns:
        The mean of the channels that are there, and the body, bool, both `(*spatial)`.
    """
    if len(channels) == 1:
        return channels[0], foreground(channels[0])
    present = [channel for channel in channels if channel.any()] or [channels[0]]
    seen: Array = np.mean(present, axis=0)
    body: Array = np.any([foreground(channel) for channel in present], axis=0)
    return seen, body


class _Stacked:
    """The score and what is wanted beside it as channels of one tensor, as inferers take and blend them."""

    def __init__(self, network: nn.Module, wanted: Sequence[str]) -> None:
        self.network, self.wanted = network, tuple(wanted)
        self.names: list[str] = []
        self.sizes: list[int] = []

    def __call__(self, batch: Tensor) -> Tensor:
        """`(B, channels, *spatial)` of `(B, C, *spatial)`; `names` and `sizes` then say which channels are what."""
        if not self.wanted:
            scores: Tensor = self.network(batch)
            return scores
        answer = as_method(self.network).examine(batch)
        answer |= {name: answer[other] for name, other in _INSTEAD.items() if name not in answer and other in answer}
        self.names = [name for name in self.wanted if name in answer]
        parts = [answer[name] for name in (SCORE, *self.names)]
        self.sizes = [part.shape[1] for part in parts]
        return torch.cat(parts, dim=1)


def lesions_in(result: MutableMapping[str, Any], calibration: Calibration) -> tuple[Array, list[Lesion]]:
    """The cleaned mask and its lesions of a case of an `AnomalyEvaluator`, back on its source's grid; made once.

    Args:
        result: the evaluator's output for the case; the answer stays in it.
        calibration: whose thresholds count.
    """
    limits = (calibration.voxel_threshold, calibration.min_lesion_ml)
    kept = result.get("lesions")
    if kept is None or kept[0] != limits:
        threshold, least = limits
        affine = convert_to_numpy(result["pred"].affine)
        kept = result["lesions"] = (
            limits,
            find_lesions(scores_of(result), affine, threshold=threshold, min_lesion_ml=least),
        )
    mask, lesions = kept[1]
    return mask, lesions


def scores_of(result: Mapping[str, Any]) -> Array:
    """The score map of a case of an `AnomalyEvaluator`, `(i, j, k)` in [0, 1]."""
    return np.clip(convert_to_numpy(result["pred"])[0], 0, 1)


def appearance_of(result: Mapping[str, Any]) -> dict[str, float]:
    """What a case of an `AnomalyEvaluator` looks like: see `anomaly.scoring.appearance`."""
    return appearance(seen_of(convert_to_numpy(result["image"]))[0], convert_to_numpy(result["body"]))
