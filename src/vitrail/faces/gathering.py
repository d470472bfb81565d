"""All processes' rows of a batch, in the batch's own order and with gradients: what mines as one process would."""

from typing import Any, cast

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor
from torch.autograd.function import once_differentiable

from vitrail.errors import ConfigError


def process_count() -> int:
    """How many processes share each batch."""
    joined = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if joined else 1


def gather_rows(own: Shaped[Tensor, "b *rest"], rows: range, total: int) -> Shaped[Tensor, "total *rest"]:
    """The whole batch, the same in every process; each must ask.

    Backward gives each process the gradient, by its own rows, of the *sum* of the processes' losses.

    Args:
        own: this process's rows.
        rows: which rows of the batch they are; the processes' ranges must not overlap.
        total: how many rows the batch has. Those that no process has are 0.
    """
    if process_count() == 1 and len(rows) == total:
        return own
    return cast(Tensor, _Gathered.apply(own, rows, total))  # type: ignore[no-untyped-call]


class _Gathered(torch.autograd.Function):
    """Each process adds its rows to zeros: no two of them need as many rows as each other."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, rows: range, total: int) -> Tensor:
        ctx.rows = rows
        everyone = own.new_zeros(total, *own.shape[1:])
        everyone[rows.start : rows.stop] = own
        return _sum(everyone)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None]:
        return _sum(outer.clone())[ctx.rows.start : ctx.rows.stop], None, None


def _sum(tensor: Tensor) -> Tensor:
    if process_count() > 1:
        torch.distributed.all_reduce(tensor)
    return tensor


def gather_labels(labels: Int64[Tensor, " b"], rows: range, total: int) -> Int64[Tensor, " total"]:
    """The whole batch's labels.

    Raises:
        ConfigError: the processes don't have the whole batch, as with micro-batches.
    """
    everyone, times = gather_rows(torch.stack([labels, torch.ones_like(labels)], dim=1), rows, total).unbind(1)
    if not bool((times == 1).all()):
        raise ConfigError(
            f"the loss is that of the whole batch of {total} images, but only {int(times.sum())} of them came at once: "
            "use 1 micro-batch; the chunk is what bounds the memory."
        )
    return everyone
