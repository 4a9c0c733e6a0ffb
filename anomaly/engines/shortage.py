"""A network that computes fewer slices at once where memory is short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

SMALL_SLABS = "small_slabs"  # flag of a `Finding`
_SLABS = (8, 2)  # slices, tried one after the other


def within_memory(
    network: nn.Module, run: Callable[[], Tensor], *, needed: int = 0, free: int | None = None
) -> tuple[Tensor, bool]:
    """Run a network, with smaller slabs where memory does not suffice: the same answer, up to rounding.

    Slabs are what modules with an attribute `slab` compute at once (`TwinGenerator`). Other networks are run as they
    are. Fewer slices in a pass would be another answer: a network looks across slices.

    Args:
        network: part of `run`.
        run: what is to be done.
        needed: bytes that it takes at least without slabs.
        free: bytes; None: not known, so that only a failure tells.

    Returns:
        What `run` gives, and whether slabs were smaller than usual.

    Raises:
        MemoryError: memory did not suffice, even for the smallest slabs.
    """
    modules = [module for module in network.modules() if hasattr(module, "slab")]
    sizes: tuple[int, ...] = (0, *_SLABS) if modules else (0,)
    if free is not None and needed > free:
        sizes = sizes[1:] or sizes
    for slices in sizes:
        try:
            with _slabs_of(modules, slices):
                return run(), slices > 0
        except (MemoryError, RuntimeError) as error:
            if not is_shortage(error):
                raise
    msg = "there is too little memory for the network"
    raise MemoryError(msg)


def is_shortage(error: BaseException) -> bool:
    """Is there too little memory? PyTorch says so by a plain `RuntimeError` on the CPU.

    >>> is_shortage(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    True
    >>> is_shortage(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    False
    """
    words = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("DefaultCPUAllocator" in words or "can't allocate memory" in words)
    )


@contextmanager
def _slabs_of(modules: list[nn.Module], slices: int) -> Iterator[None]:
    """So many slices at once for the time of the body; 0: as they are."""
    before = [module.slab for module in modules]
    try:
        for module in modules:
            module.slab = slices or module.slab  # type: ignore[assignment]
        yield
    finally:
        for module, usual in zip(modules, before, strict=True):
            module.slab = usual
