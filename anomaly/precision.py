"""The precision of a network's arithmetic: reduced where the processor has instructions for it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "fp32", "bf16"]
Arithmetic = Literal["fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = ("auto", "fp32", "bf16")
_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")  # of a CPU; without them bfloat16 is slower than float32


def reduced(device: torch.device, precision: str = "auto") -> torch.dtype | None:
    """What convolutions and products are computed in on a device; None: float32, as all else.

    Args:
        device: where the network runs.
        precision: "fp32" and "bf16" are taken at their word; "auto" is bfloat16 on a CPU with AVX512-BF16 or AMX, on a
            GPU that has it and on Apple's, float16 on an older GPU, and float32 elsewhere.

    Raises:
        ValueError: there is no such precision.

    >>> import torch
    >>> reduced(torch.device("cpu"), "fp32") is None, reduced(torch.device("cpu"), "bf16")
    (True, torch.bfloat16)
    """
    import torch

    if precision not in PRECISIONS:
        msg = f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}"
        raise ValueError(msg)
    if precision == "fp32":
        return None
    if precision == "bf16" or device.type == "mps":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if device.type == "cpu" and _cpu_has_bf16() else None


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    """PyTorch's autocast to `dtype`, or none for None."""
    import torch

    return torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def name_of(dtype: torch.dtype | None) -> Arithmetic:
    """`fp32`, `bf16` or `fp16`, as a finding says it."""
    names: dict[str, Arithmetic] = {"None": "fp32", "torch.bfloat16": "bf16", "torch.float16": "fp16"}
    return names[str(dtype)]


def _cpu_has_bf16() -> bool:
    import torch

    if hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return any(found.get(name, False) for name in _INSTRUCTIONS)
    return bool(torch.cpu._is_avx512_bf16_supported())
