"""The precision of a network's arithmetic: reduced where the processor has instructions for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "fp32", "bf16"]
Arithmetic = Literal["fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = ("auto", "fp32", "bf16")
_NARROW = 2  # voxels along the last axis
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


@contextmanager
def autocast(device: torch.device, dtype: torch.dtype | None) -> Iterator[None]:
    """PyTorch's autocast to `dtype`, or none for None.

    On a CPU, convolutions that bfloat16 gets wrong there are computed in float32: with PyTorch 2.13 (oneDNN) one with a
    stride of 2 along the last axis reads beyond its input where that is but one or two voxels long, and gives numbers
    that differ from call to call, up to 1e37.
    """
    import torch

    with ExitStack() as stack:
        if device.type == "cpu" and dtype is not None:
            stack.enter_context(_exact_where_narrow())
        stack.enter_context(torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None))
        yield


def _exact_where_narrow() -> AbstractContextManager[object]:
    import torch
    from torch.overrides import TorchFunctionMode

    convolutions = (torch.conv1d, torch.conv2d, torch.conv3d)

    class ExactWhereNarrow(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            kwargs = kwargs or {}
            if function in convolutions and args and args[0].shape[-1] <= _NARROW and _strides(args, kwargs):
                with torch.autocast("cpu", enabled=False):
                    exact = (one.float() if isinstance(one, torch.Tensor) else one for one in args)
                    return function(*exact, **kwargs)
            return function(*args, **kwargs)

    return ExactWhereNarrow()


def _strides(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Does a convolution pass over voxels along the last axis?"""
    stride = args[3] if len(args) > 3 else kwargs.get("stride", 1)
    return bool((stride if isinstance(stride, int) else stride[-1]) > 1)


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
