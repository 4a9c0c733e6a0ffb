"""Training in several processes, one for each GPU, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from torch import nn


def process_rank() -> int:
    """The rank of this process, 0 where there is only one; joins the others at the first call.

    `torchrun --nproc_per_node=N -m monai.bundle run ...` sets `WORLD_SIZE` and `LOCAL_RANK`. NCCL between GPUs, Gloo
    between CPU processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and idist.backend() is None:
        idist.initialize("nccl" if torch.cuda.is_available() else "gloo")
    return int(idist.get_rank())


def process_device() -> torch.device:
    """This process's GPU, or the CPU where there is none."""
    process_rank()
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", idist.get_local_rank())


def average_gradients(network: nn.Module) -> None:
    """Replace every gradient by its mean over all processes; nothing happens where there is one.

    A network's `explain` is what trains, and `DistributedDataParallel` would only watch its `forward`.
    """
    world = idist.get_world_size()
    if world == 1:
        return
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= world
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, parts, strict=True):
        gradient.copy_(mean.view_as(gradient))


class Together:
    """Begin with the same weights in every process, and end with the same epoch.

    Validation runs in the first process only, and may end the training early; the others wait and hear of it.

    Args:
        networks: whose weights the first process gives to the others.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.networks = networks

    def attach(self, engine: Engine) -> None:
        """Register with a trainer, after the handlers that may end it."""
        if idist.get_world_size() > 1:
            engine.add_event_handler(Events.STARTED, self._begin)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._end)

    def _begin(self, _: Engine) -> None:
        for network in self.networks:
            for value in network.state_dict().values():
                torch.distributed.broadcast(value, src=0)

    def _end(self, engine: Any) -> None:
        votes: Any = idist.all_reduce(float(engine.should_terminate))
        if votes > 0 and not engine.should_terminate:
            engine.terminate()
