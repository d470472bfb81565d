"""One optimizer step: forward and backward over micro-batches, one division by the global count, checks, update.

Several micro-batches give gradients of the *sum* of the loss; all that is done to them (the division, the mean that
data parallelism takes, clipping) is one factor, applied in one pass. The figures of all processes are summed before the
last backward and are on the host before the update: a loss that isn't finite stops the run with the weights untouched.
On a GPU that costs no idle time, for the host waits for the end of the last *forward*, with backward still queued. The
gradient's norm is only known after backward; there it is looked at when it is logged, and before anything is saved.
"""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vitrail.errors import NonFiniteLossError
from vitrail.nn.randomness import RowRandom, derive_seed
from vitrail.train.average import WeightAverage
from vitrail.train.config import TrainConfig
from vitrail.train.objective import AccumulatingObjective, Batch, LossSums, Objective
from vitrail.train.optim import Optimizers
from vitrail.train.processes import Processes

SHOWN = 16  # indices of a bad batch that fit into a sentence


@dataclass(frozen=True)
class StepFigures:
    """Sums of one step over all processes and micro-batches."""

    loss: float
    count: float
    scalars: dict[str, float]
    lr: float
    stop: bool
    """Whether any process was asked to stop; the same in all of them."""
    images: int


class OneStep:
    """Takes steps with an objective; holds what lasts from one to the next."""

    def __init__(
        self,
        objective: Objective[Any],
        config: TrainConfig,
        precision: Literal["float32", "bf16"],
        processes: Processes,
    ) -> None:
        self.config = config
        self.processes = processes
        self.root = _Root(objective, processes.device.type, precision)
        self.accumulating = objective if isinstance(objective, AccumulatingObjective) else None
        self.call = processes.wrap(self.root, config.sharding, self.accumulating is not None)
        self.optimizers = Optimizers(objective.module, config)
        self.average = WeightAverage(objective.module, config.ema) if config.ema else None
        self._figures = _HostCopy(processes.device)
        self._norms: list[tuple[int, Tensor]] = []

    def __call__(self, step: int, batches: Sequence[Batch], stop: bool) -> StepFigures:
        """Take step ``step`` (from 0) on this process's micro-batches of its global batch.

        Raises:
            NonFiniteLossError: the loss or the gradient became NaN or infinite; the weights are those before this step.
        """
        torch.manual_seed(derive_seed(self.config.seed, step, self.processes.rank))  # dropout, drop path
        self.optimizers.zero_grad()
        sums, factor = self._backward(step, batches, stop)
        summed, counted, stops, *others = self._figures.wait()
        if not math.isfinite(summed):
            self.gradient_norms()  # was it already the gradient of an earlier step that spoiled the weights?
            raise NonFiniteLossError(self._describe(step, batches, [loss for loss, _, _ in sums]))
        self._norms.append((step, self._scale_gradients(factor)))
        if self.processes.device.type == "cpu":
            self._check_gradient(step, float(self._norms[-1][1]))
        lr = self.optimizers.step(step)
        if self.average is not None:
            self.average.update(step + 1)
        named = dict(zip(sums[0][2], others, strict=True))
        return StepFigures(summed, counted, named, lr, stops > 0, batches[0].total)

    def _backward(self, step: int, batches: Sequence[Batch], stop: bool) -> tuple[list[LossSums], Tensor]:
        """Forward and backward of all micro-batches: their sums, and what the gradients are yet to be multiplied by."""
        sums: list[LossSums] = []
        factor = torch.ones(())
        for part, batch in enumerate(batches):
            last = part == len(batches) - 1
            random = RowRandom(self.config.seed, step, batch.rows, batch.total)
            with self.processes.between_micro_batches(last):
                if self.accumulating is not None:
                    with self.root.autocast():
                        loss, count, scalars = self.accumulating.accumulate(batch, random, torch.Tensor.backward)
                else:
                    loss, count, scalars = self.call(batch, random)
                sums.append((loss.detach(), count.detach(), {name: x.detach() for name, x in scalars.items()}))
                if last:
                    total = self.processes.sum_(_total(sums, stop))
                    self._figures.start(total)
                    # Data parallelism takes the mean over processes of what should be a sum.
                    averaged = self.processes.count if self.accumulating is None else 1
                    factor = (averaged / total[1].clamp(min=1)).to(loss.dtype)
                if self.accumulating is not None:
                    continue
                if len(batches) == 1:  # the count is known before backward: no pass over the gradients is needed
                    loss, factor = loss * factor, torch.ones_like(factor)
                loss.backward()
        if self.accumulating is not None:
            self._sum_gradients()
        return sums, factor

    def gradient_norms(self) -> list[float]:
        """The norms (of the mean loss, before clipping) of the steps since the last call.

        Raises:
            NonFiniteLossError: one isn't finite.
        """
        norms = torch.stack([norm for _, norm in self._norms]).tolist() if self._norms else []
        for (step, _), norm in zip(self._norms, norms, strict=True):
            self._check_gradient(step, norm)
        self._norms.clear()
        return norms

    def _check_gradient(self, step: int, norm: float) -> None:
        if not math.isfinite(norm):
            raise NonFiniteLossError(
                f"The gradient's norm became {norm} in step {step + 1} although the loss was finite: use a lower --lr "
                f"or --precision float32, and look for a division by 0 or a root of 0 in the loss."
            )

    @torch.no_grad()
    def _scale_gradients(self, factor: Tensor) -> Tensor:
        """Multiply the gradients by ``factor`` and clip them, in one pass; returns their norm before clipping."""
        gradients = [p.grad for p in self.optimizers.parameters.values() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients, foreach=True)
        if self.processes.sharded:
            norm = norm.full_tensor()  # type: ignore[attr-defined]
        norm = norm * factor
        if self.config.clip:
            factor = factor * (self.config.clip / (norm + 1e-6)).clamp(max=1)
        if self.processes.device.type == "cuda" and not self.processes.sharded:
            torch._foreach_mul_(gradients, factor)
        elif (number := float(factor)) != 1:
            torch._foreach_mul_(gradients, number)
        return norm

    def _sum_gradients(self) -> None:
        if self.processes.count > 1:
            for parameter in self.optimizers.parameters.values():
                if parameter.grad is None:  # no term of the loss on this process
                    parameter.grad = torch.zeros_like(parameter)
                self.processes.sum_(parameter.grad)

    def _describe(self, step: int, batches: Sequence[Batch], losses: Sequence[Tensor]) -> str:
        """The error's sentence: all processes give theirs, so that it names the batch wherever it was."""
        mine = [
            (str(float(loss)), f"rows {batch.rows.start} to {batch.rows.stop - 1}", _indices(batch))
            for loss, batch in zip(losses, batches, strict=True)
            if not math.isfinite(float(loss))
        ]
        bad = [entry for entries in self.processes.gather(mine) for entry in entries]
        value = bad[0][0] if bad else "not finite in sum"
        where = "; ".join(f"{rows}{indices}" for _, rows, indices in bad) or "all rows"
        return (
            f"The loss became {value} in step {step + 1}, in {where} of its batch: look at that input, use a lower "
            f"--lr or --clip 1, and run the same command again to go on from the last checkpoint, if there is one."
        )


class _Root(nn.Module):
    """The objective as a module whose forward is its loss: what data parallelism and sharding want to wrap."""

    def __init__(self, objective: Objective[Any], device: str, precision: Literal["float32", "bf16"]) -> None:
        super().__init__()
        self.module = objective.module
        self._objective = objective
        self._device = device
        self._bf16 = precision == "bf16"

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Around a forward: bf16 where it is safe, if that is the run's precision."""
        return torch.autocast(self._device, torch.bfloat16) if self._bf16 else contextlib.nullcontext()

    def forward(self, batch: Batch, random: RowRandom) -> LossSums:
        with self.autocast():
            return self._objective.loss(batch, random)


class _HostCopy:
    """A small tensor on its way from the device to the host, without stopping the device."""

    def __init__(self, device: torch.device) -> None:
        self._gpu = device.type == "cuda"
        self._event: torch.cuda.Event | None = None
        self._values = torch.empty(0)

    def start(self, values: Tensor) -> None:
        if not self._gpu:
            self._values = values
            return
        self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        self._values.copy_(values, non_blocking=True)
        self._event = torch.cuda.Event()
        self._event.record()

    def wait(self) -> list[float]:
        if self._event is not None:
            self._event.synchronize()
        values: list[float] = self._values.tolist()
        return values


def _total(sums: Sequence[LossSums], stop: bool) -> Tensor:
    """(loss, count, wish to stop, scalars), each summed over micro-batches, float64."""
    rows = []
    for loss, count, scalars in sums:
        figures = [loss, count, loss.new_tensor(float(stop)), *scalars.values()]
        rows.append(torch.stack([figure.to(loss.device, torch.float64) for figure in figures]))
    return torch.stack(rows).sum(0)


def _indices(batch: Batch) -> str:
    indices = getattr(batch, "indices", None)
    if indices is None:
        return ""
    every = [int(index) for index in indices]
    rest = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return f" (indices {', '.join(map(str, every[:SHOWN]))}{rest})"
