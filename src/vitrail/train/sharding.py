"""Tensors that are spread over processes (FSDP2), and how they become whole and spread again."""

import contextlib
from collections.abc import Iterator
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

Value = TypeVar("Value")


def whole(value: Value) -> Value:
    """A tensor on the CPU, gathered first if it is spread (then all processes must ask); other values as they are."""
    from torch.distributed.tensor import DTensor

    if not isinstance(value, Tensor):
        return value
    tensor = value.full_tensor() if isinstance(value, DTensor) else value
    return cast(Value, tensor.detach().cpu())


@torch.no_grad()
def assign(target: Tensor, content: Tensor) -> None:
    """Copy a whole tensor into one that may be spread; every process holds the same ``content``."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(target, DTensor):
        content = distribute_tensor(content.to(target.device), target.device_mesh, target.placements)
    target.copy_(content)


def shard(root: nn.Module) -> None:
    """Spread the parameters of ``root`` over all processes, in place (FSDP2).

    Each element of an ``nn.ModuleList`` (a block) is a unit that is gathered for its forward and backward alone; what
    is left (embeddings, heads) is one more unit. ``root.forward`` must be how the module is run.
    """
    from torch.distributed.fsdp import fully_shard

    for module in list(root.modules()):
        if isinstance(module, nn.ModuleList):
            for block in module:
                fully_shard(block)
    fully_shard(root)


@contextlib.contextmanager
def gathered(root: nn.Module) -> Iterator[None]:
    """Inside the block every sharded unit below ``root`` is whole, so that any of its methods may be called."""
    from torch.distributed.fsdp import FSDPModule

    units = [module for module in root.modules() if isinstance(module, FSDPModule)]
    for unit in units:
        unit.unshard()
    try:
        yield
    finally:
        for unit in units:
            unit.reshard()
