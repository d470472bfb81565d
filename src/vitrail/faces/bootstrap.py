"""Errors by resampling people, where the comparisons of one person hang together.

In a set of faces every face is in many comparisons, and a person who is hard to tell is so in all of them:
comparisons are not independent, people are. So people are drawn with replacement, and a comparison counts as often as
the product of how often its people were drawn (the pigeonhole bootstrap: Owen 2007, Annals of Applied Statistics
1(2); in biometrics, Bolle, Ratha and Pankanti's subsets bootstrap of 2004). Each draw has a threshold of its own, so
the error is of both.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from vitrail.errors import DataError
from vitrail.faces.verification import Estimate, Threshold, allowed_pairs, just_below

DRAWS = 1000
SPARE = 1000  # comparisons to begin with, beyond twice those that are accepted


class Comparisons(NamedTuple):
    """Distances, and between whom."""

    distances: Float[Tensor, " n"]
    """Ascending."""
    people: Int64[Tensor, "n k"]
    """The people of each comparison, numbered from 0: one where it is of one person, else two."""


class AtFar(NamedTuple):
    """What is accepted where at most a share ``far`` of what should be refused is accepted."""

    far: float
    """The rate that was asked for."""
    val: Estimate
    """Share of what should be accepted that is."""
    threshold: Threshold
    """Up to which distance; with the middle 95% of the draws' thresholds."""
    draws: Float64[Tensor, " draws"]
    """Each draw's VAL. Draws with the same seed are of the same people, so the differences between two networks' draws
    on one set of faces are a paired comparison."""

    def interval(self) -> tuple[float, float]:
        """The middle 95% of the draws' VAL."""
        return middle(self.draws)


def at_far(
    far: float,
    same: Comparisons,
    other: Comparisons,
    weigh_all: Callable[[Float64[Tensor, " people"]], float],
    people: int,
    draws: int,
    seed: int,
    kind: str = "pairs of different people",
) -> AtFar:
    """VAL and threshold at a FAR, with errors over people.

    Args:
        far: the rate.
        same: all that should be accepted.
        other: what should be refused; of many, the closest are enough.
        weigh_all: what all that should be refused weighs, where people have these weights.
        people: how many there are.
        draws: of people; 1,000 give the error to some percent.
        seed: of the draws.
        kind: what should be refused, in words.

    Raises:
        ConfigError: a rate that isn't between 0 and 1.
        DataError: too little to refuse for so small a rate, or a threshold beyond the closest that ``other`` holds.
    """
    full = int(weigh_all(torch.ones(people, dtype=torch.float64)))
    allowed = allowed_pairs(far, full, kind)
    beyond = DataError(
        f"a rate of {far:g} lies beyond the closest {len(other.distances):,} of {full:,} {kind} that were kept; "
        "keep more, or ask for a lower rate."
    )
    if allowed >= len(other.distances):
        raise beyond
    end = other.distances[allowed]
    val = float(torch.searchsorted(same.distances, end)) / len(same.distances)
    generator = torch.Generator().manual_seed(seed)
    vals, ends = [], []
    for _ in range(draws):
        weights = torch.randint(people, (people,), generator=generator).bincount(minlength=people).double()
        mates, others = _weigh(same.people, weights), weigh_all(weights)
        if mates.sum() == 0 or others == 0:  # nobody with two faces was drawn, or one person alone: it says nothing
            continue
        place = _first_refused(other, weights, far * others, 2 * allowed + SPARE)
        if place is None:
            raise beyond
        ends.append(other.distances[place])
        accepted = int(torch.searchsorted(same.distances, ends[-1]))
        vals.append(mates[:accepted].sum() / mates.sum())
    if len(vals) < 2:
        raise DataError(f"{draws} draws of {people} people tell no error; give more people or more draws.")
    drawn = torch.stack(vals)
    low, high = middle(just_below(torch.stack(ends)).double())
    return AtFar(far, Estimate(val, float(drawn.std())), Threshold(float(just_below(end)), low, high), drawn)


def _first_refused(other: Comparisons, weights: Float64[Tensor, " people"], allowed: float, most: int) -> int | None:
    """Place of the first comparison that may not be accepted; None if all that are held may."""
    while True:
        total = _weigh(other.people[:most], weights).cumsum(0)
        # A whole number of comparisons is allowed, whatever binary fractions say.
        end = int(torch.searchsorted(total, allowed + 1e-6, right=True))
        if end < len(total):
            return end
        if most >= len(other.distances):
            return None
        most *= 2


def _weigh(people: Int64[Tensor, "n k"], weights: Float64[Tensor, " people"]) -> Float64[Tensor, " n"]:
    weight = weights[people[:, 0]]
    return weight * weights[people[:, 1]] if people.shape[1] == 2 else weight


def middle(values: Float64[Tensor, " draws"]) -> tuple[float, float]:
    """Between which two values the middle 95% lie."""
    low, high = values.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high
