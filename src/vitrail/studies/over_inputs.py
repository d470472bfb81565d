"""Figures over many inputs: the scores of heads by layer, and what the choice of inputs leaves open.

Inputs are what is drawn, so an interval is Student's for the mean over them. Where a figure was taken with several
seeds too, each input's mean over seeds comes first: these intervals say nothing of other seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from vitrail.recipes.intervals import Z95, mean_interval
from vitrail.studies.measuring import UNTOLD, Interval
from vitrail.trace import SCORES, Axis, Places, Trace, score_heads
from vitrail.trace.tables import gather_scores

AS_SHARE = ("entropy", "distance")
"""Scores that are told as a share of what attending everywhere alike has on the same input."""


@dataclass(frozen=True, eq=False)
class Scored:
    """What the heads of a model do on some inputs, each layer having as many of them.

    Attributes:
        names: of the scores, as in ``vitrail.trace.SCORES``.
        values: of each head; NaN where a score says nothing about an input.
        uniform: what attending everywhere alike would have.
    """

    names: tuple[str, ...]
    values: Float64[np.ndarray, "inputs l h scores"]
    uniform: Float64[np.ndarray, "inputs l h scores"]

    def heads(self, name: str) -> Float64[np.ndarray, "inputs l h"]:
        """A score of each head; entropy and distance as a share of uniform attention's."""
        place = self.names.index(name)
        values = self.values[..., place]
        return values / self.uniform[..., place] if name in AS_SHARE else values

    def layers(self, name: str) -> Float64[np.ndarray, "inputs l"]:
        """The mean over a layer's heads."""
        return np.asarray(self.heads(name).mean(-1))

    def best(self, name: str) -> Float64[np.ndarray, "inputs l"]:
        """Of each layer the head that has most of a score over all inputs."""
        heads = self.heads(name)
        chosen = np.nanmean(heads, axis=0).argmax(-1)
        return np.asarray(np.take_along_axis(heads, chosen[None, :, None], axis=2)[..., 0])


def scored(traces: Sequence[Trace]) -> Scored:
    """The scores of all heads on each of some inputs of one model."""
    found = [gather_scores(trace) for trace in traces]
    layers = 1 + max(layer for _, layer, _ in found[0].heads)
    values, uniform = (
        np.stack([part.reshape(layers, -1, part.shape[-1]) for part in parts])
        for parts in ([one.means for one in found], [one.uniform for one in found])
    )
    return Scored(found[0].names, values, uniform)


def scored_map(maps: Float32[np.ndarray, "l h q k"], axis: Axis) -> Scored:
    """The scores of all heads on one input, from maps of self-attention that sees all tokens."""
    n, at = axis.length, Places(axis, axis)
    alike = np.full((1, n, n), 1 / n, np.float32)
    found = [score_heads(np.concatenate([of, alike]), at) for of in maps]
    both = np.stack([np.stack([scores[name] for name in SCORES], axis=-1) for scores in found]).astype(np.float64)
    return Scored(tuple(SCORES), both[None, :, :-1], np.repeat(both[None, :, -1:], maps.shape[1], axis=2))


def joined(parts: Sequence[Scored]) -> Scored:
    """The same scores of further inputs as one."""
    values, uniform = (np.concatenate([getattr(one, name) for one in parts]) for name in ("values", "uniform"))
    return Scored(parts[0].names, values, uniform)


def over(values: Float64[np.ndarray, " inputs"]) -> Interval:
    """A mean over inputs with its 95% interval; inputs that a figure says nothing about are left out."""
    known = [float(value) for value in values if np.isfinite(value)]
    mean, ends = mean_interval(known)
    low, high = ends or (mean, mean)
    return Interval(mean, (high - low) / 2 / Z95, low, high)


def by_layer(values: Float64[np.ndarray, "inputs l"]) -> list[Interval]:
    """The same of each layer."""
    return [over(column) for column in values.T]


def cell(found: Interval, digits: int = 2) -> str:
    """For a table: the mean and its interval."""
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def told(found: Interval, digits: int = 2) -> str:
    """A difference in words."""
    ends = f"({found.low:+.{digits}f} to {found.high:+.{digits}f})"
    return f"{found.value:+.{digits}f} {ends}" if found.told else f"{UNTOLD} {ends}"


def plain(found: Sequence[Interval]) -> Mapping[str, Any]:
    """As ``results.json`` has them."""
    return {
        name: [round(float(getattr(one, name)), 4) if np.isfinite(one.value) else None for one in found]
        for name in ("value", "low", "high")
    }
