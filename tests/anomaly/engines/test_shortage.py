"""Smaller slabs where memory is short: the same answers, and a flag."""

import pytest
import torch
from torch import nn

from anomaly.engines.shortage import within_memory

IMAGE = torch.rand(1, 1, 12, 12, 40, generator=torch.Generator().manual_seed(0))
SHORTAGES = [
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
]


class Greedy(nn.Module):
    """Can do so many slices at once and no more."""

    def __init__(self, most, error):
        super().__init__()
        self.most, self.error, self.slab, self.seen = most, error, 0, []

    def forward(self, image):
        slices = self.slab or image.shape[-1]
        self.seen.append(slices)
        if slices > self.most:
            raise self.error
        return image.sqrt()


def run(network, **memory):
    return within_memory(nn.Sequential(network), lambda: network(IMAGE), **memory)


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("most", "seen"), [(40, [40]), (8, [40, 8]), (2, [40, 8, 2])])
def test_a_shortage_makes_slabs_smaller_until_it_is_over(error, most, seen):
    network = Greedy(most, error)
    answer, is_short = run(network)
    assert network.seen == seen
    assert is_short is (most < 40)
    assert network.slab == 0
    torch.testing.assert_close(answer, IMAGE.sqrt())


@pytest.mark.parametrize(("free", "slices"), [(None, 40), (100, 40), (99, 8)])
def test_what_plainly_does_not_suffice_is_not_tried(free, slices):
    network = Greedy(99, MemoryError())
    assert run(network, needed=100, free=free)[1] is (slices < 40)
    assert network.seen == [slices]


def test_the_smallest_slabs_are_the_end_of_it():
    network = Greedy(0, SHORTAGES[1])
    with pytest.raises(MemoryError, match="too little memory"):
        run(network)
    assert network.seen == [40, 8, 2]


def test_a_network_without_slabs_is_run_once():
    calls = []

    def fail():
        calls.append(1)
        raise MemoryError

    with pytest.raises(MemoryError):
        within_memory(nn.Identity(), fail, needed=100, free=0)
    assert calls == [1]
    assert within_memory(nn.Identity(), lambda: IMAGE, needed=100, free=0) == (IMAGE, False)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"):
        run(Greedy(0, RuntimeError("shapes cannot be multiplied")))
