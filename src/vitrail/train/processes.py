"""The processes of a run, by Accelerate: one alone, or as many as ``torchrun`` or ``accelerate launch`` started.

Several processes share each global batch. With ``sharding="ddp"`` each holds the whole model and gradients are averaged
while backward goes on. With ``"fsdp"`` each holds a part of every parameter, gradient and moment (FSDP2, by PyTorch's
``fully_shard``: Accelerate's own wrapping of it wants the optimizer rebuilt and knows no CPU). An objective that runs
backward by itself gets its gradients summed after the last one instead.
"""

import atexit
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from vitrail.errors import ConfigError, VitrailError
from vitrail.train.sharding import shard


class Processes:
    """What a step needs to know and do beyond its own process. Made by every process of the run."""

    def __init__(self, device: Literal["cpu", "cuda"]) -> None:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState, PartialState

        started = PartialState._shared_state.get("device")
        if started is not None and started.type != device and "WORLD_SIZE" not in os.environ:
            AcceleratorState._reset_state(
                reset_partial_state=True
            )  # an earlier run of this program used another device
        joined = torch.distributed.is_initialized()
        # Mixed precision is the loop's own: Accelerate would fix it once for all runs of a program.
        self.accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no")
        self.device: torch.device = self.accelerator.device
        self.count: int = self.accelerator.num_processes
        self.rank: int = self.accelerator.process_index
        self.is_main = self.rank == 0
        if self.count > 1 and not joined:
            atexit.register(_leave)  # while threads can still be joined, not when the interpreter falls apart
        self.sharded = False
        """Whether parameters are spread over the processes."""
        self._wrapped: nn.Module | None = None

    def wrap(self, root: nn.Module, sharding: Literal["ddp", "fsdp"], own_backward: bool) -> nn.Module:
        """Put ``root`` on the device and join it with its copies in the other processes.

        Returns:
            What to call in place of ``root``; its forward may then be followed by backward.

        Raises:
            ConfigError: fsdp for an objective that runs backward by itself.
        """
        root.to(self.device)
        if self.count == 1:
            return root
        for tensor in [*root.parameters(), *root.buffers()]:
            torch.distributed.broadcast(tensor.detach(), 0)
        if sharding == "fsdp":
            if own_backward:
                raise ConfigError(
                    "sharding is fsdp, but this objective runs backward by itself, which needs whole parameters: "
                    "use --sharding ddp."
                )
            shard(root)
            self.sharded = True
            return root
        if own_backward:
            return root
        self._wrapped = cast(nn.Module, self.accelerator.prepare_model(root))
        return self._wrapped

    def between_micro_batches(self, last: bool) -> AbstractContextManager[Any]:
        """Around forward and backward of a micro-batch: gradients cross processes in the last one only."""
        if last or self._wrapped is None:
            return nullcontext()
        return cast(AbstractContextManager[Any], self.accelerator.no_sync(self._wrapped))

    def sum_(self, tensor: Tensor) -> Tensor:
        """Sum over processes, in place."""
        if self.count > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def gather(self, value: Any) -> list[Any]:
        """One plain value of each process, in the order of ranks."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(values, value)
        return values

    @contextmanager
    def together(self) -> Iterator[None]:
        """Raise in all processes what the block raises in one of them, so that none waits for the others forever."""
        error: VitrailError | None = None
        try:
            yield
        except VitrailError as raised:
            error = raised
        first = next((found for found in self.gather(error) if found is not None), None)
        if error is not None:
            raise error
        if first is not None:
            raise type(first)(str(first))


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
