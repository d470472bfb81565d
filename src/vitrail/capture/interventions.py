"""What a head does is seen by taking it away: zero it, put its mean in its place, or what it did on another input.

An edit is handed to ``record_attention`` (or to ``effect``) and changes what an attention computes on its way; the
model itself stays as it is. ``head_effects`` does it head by head, and gives the map of all heads (Michel et al. 2019).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from vitrail.capture.call import Call, Record
from vitrail.capture.gradients import Target, logits_of
from vitrail.capture.recorder import record_attention
from vitrail.capture.tracking import Edit
from vitrail.errors import ConfigError

Ablation = Literal["zero", "mean"]
Part = Literal["q", "k", "v", "output"]


@dataclass(frozen=True)
class Ablate:
    """Put zeros, or the mean over positions, in the place of what some heads give."""

    heads: Mapping[str, Sequence[int]]
    """Call → its heads."""
    how: Ablation = "zero"
    """Either "zero", or "mean": each head's output averaged over positions (over those of ``means`` where given)."""
    means: Mapping[str, Tensor] = field(default_factory=dict)
    """Call → mean output of its heads ``[h dv]``, over whatever texts (``mean_outputs``)."""

    def inputs(self, name: str, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values stay."""
        return q, k, v

    def output(self, name: str, output: Tensor) -> Tensor:
        """Heads ``[b h q dv]`` with those to be ablated replaced."""
        chosen = list(self.heads.get(name, ()))
        if not chosen:
            return output
        _inside(name, chosen, output.shape[1])
        if self.how == "zero":
            instead = torch.zeros_like(output)
        elif name in self.means:
            instead = self.means[name].to(output)[None, :, None].expand_as(output)
        else:
            instead = output.mean(2, keepdim=True).expand_as(output)
        return _with_heads(output, instead, chosen)


@dataclass(frozen=True)
class Patch:
    """Put what heads had on another input in the place of what they have on this one."""

    source: Record
    """Of a run on the other input, whose positions are as many."""
    heads: Mapping[str, Sequence[int] | None]
    """Call → its heads; None for all. Heads of keys and values are meant where queries share these."""
    parts: frozenset[Part]
    """Which of "q", "k", "v" and "output" are exchanged."""

    def inputs(self, name: str, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, exchanged where that is asked for."""
        q, k, v = (self._patched(name, part, x) for part, x in (("q", q), ("k", k), ("v", v)))
        return q, k, v

    def output(self, name: str, output: Tensor) -> Tensor:
        """What the heads give, exchanged where that is asked for."""
        return self._patched(name, "output", output)

    def _patched(self, name: str, part: str, x: Tensor) -> Tensor:
        if name not in self.heads or part not in self.parts:
            return x
        other: Tensor | None = getattr(self.source[name], part)
        if other is None or other.shape != x.shape:
            found = "nothing" if other is None else str(list(other.shape))
            raise ConfigError(
                f"{part} of {name} is {list(x.shape)} here and {found} on the other input; patch between inputs of "
                "equally many tokens"
            )
        chosen = self.heads[name]
        if chosen is None:
            return other.to(x)
        _inside(name, chosen, x.shape[1])
        return _with_heads(x, other.to(x), list(chosen))


def _with_heads(x: Tensor, instead: Tensor, heads: list[int]) -> Tensor:
    chosen = torch.zeros(x.shape[1], dtype=torch.bool, device=x.device)
    chosen[heads] = True
    return torch.where(chosen[None, :, None, None], instead, x)


def _inside(name: str, heads: Sequence[int], count: int) -> None:
    for head in heads:
        if not 0 <= head < count:
            raise ConfigError(f"{name} has no head {head}: it has {count}, counted from 0")


def run_edited(module: nn.Module, run: Callable[[], Any], edit: Edit) -> Any:
    """What a module gives under an edit."""
    with torch.no_grad(), record_attention(module, each=_forget, edit=edit):
        return run()


def effect(module: nn.Module, run: Callable[[], Any], target: Target, edit: Edit) -> float:
    """By how much an edit changes a number: with it minus without it."""
    with torch.no_grad():
        before = float(target(run()))
    return float(target(run_edited(module, run, edit))) - before


def divergence_from(output: Any) -> Target:
    """How far a model's distribution over tokens or classes moves from that of this output.

    The Kullback-Leibler divergence of the new one from the old one in nats, the mean over positions.

    Raises:
        ModelError: the output has no logits.
    """
    before = logits_of(output)[0].detach().float().log_softmax(-1)

    def number(changed: Any) -> Tensor:
        after = logits_of(changed)[0].float().log_softmax(-1)
        return (before.exp() * (before - after)).sum(-1).mean()

    return Target("divergence of the output, in nats, mean over positions", number)


def head_effects(
    module: nn.Module, run: Callable[[], Any], target: Target, how: Ablation = "zero"
) -> dict[str, np.ndarray]:
    """By how much ablating each head changes a number: call → ``[h]``.

    The model is run once for every head and twice besides.
    """
    counts: dict[str, int] = {}

    def count(call: Call) -> None:
        counts[call.name] = call.weights.shape[1]

    with torch.no_grad(), record_attention(module, each=count):
        before = float(target(run()))
    return {
        name: np.array(
            [float(target(run_edited(module, run, Ablate({name: [head]}, how)))) - before for head in range(heads)]
        )
        for name, heads in counts.items()
    }


def mean_outputs(records: Sequence[Record]) -> dict[str, Tensor]:
    """Mean output of every head over all positions of some runs: call → ``[h dv]``, for ``Ablate``."""
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    for record in records:
        for call in record:
            if call.output is not None:
                sums[call.name] = sums.get(call.name, torch.zeros(())) + call.output.sum((0, 2))
                counts[call.name] = counts.get(call.name, 0) + call.output.shape[0] * call.output.shape[2]
    return {name: total / counts[name] for name, total in sums.items()}


def _forget(call: Call) -> None:
    """Calls of an edited run are of no further use."""
