"""Which triplets of a batch count (FaceNet, section 3.2): anchor a, positive p of its identity, negative n of another.

A batch of P identities with K images each has P(P-1)K²(K-1) triplets, 123,552,000 at 45 x 40, so none is ever written
down. What they do to the loss is linear in the distances as long as the choice stands: the sum over the chosen triplets
of D(a,p) - D(a,n) + margin is Σ W·D + margin·count, where W(a,p) counts the triplets of that pair and -W(a,n) those of
that negative. With each anchor's negatives sorted, the negatives that a pair takes are one range of them, found by two
binary searches; adding 1 where a range begins, taking it away where it ends, and summing up gives W in O(n log n).

The paper picks one semi-hard negative for each pair and says it in two ways: equation 4 asks only for D(a,p) < D(a,n),
the text adds "inside the margin". Both are here, under different names. With all of the semi-hard negatives, a batch
tells more at the same cost, so that is what we take where nothing else is asked for.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from vitrail.errors import ConfigError

Mining = Literal[
    "all", "semi-hard", "hardest-semi-hard", "hardest-semi-hard-unbounded", "hard", "hardest", "random-semi-hard"
]
"""Which negatives an anchor-positive pair is joined with:

===========================  ===================================================================================
all                          every one
semi-hard                    every one with D(a,p) < D(a,n) < D(a,p) + margin
hardest-semi-hard            of these the nearest to the anchor
hardest-semi-hard-unbounded  the nearest with D(a,p) < D(a,n), however far (equation 4 alone)
hard                         every one with D(a,n) < D(a,p)
hardest                      the nearest of all
random-semi-hard             one of the semi-hard, by chance
===========================  ===================================================================================

A pair that finds none is skipped. Of equally near ones the first in the batch is taken.
"""

Reduction = Literal["mean", "sum"]
"""Of the losses of the triplets where it is positive: their mean, 0 if there are none; or their sum."""

MININGS: tuple[Mining, ...] = get_args(Mining)
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)


def squared_distances(a: Float[Tensor, "rows d"], b: Float[Tensor, "columns d"]) -> Float[Tensor, "rows columns"]:
    """The squared Euclidean distance of every row of ``a`` from every row of ``b``; for unit vectors from 0 to 4.

    In float32 at least, whatever autocast says. By |a|² + |b|² - 2ab, so what is too small to be told from the rounding
    of these terms is 0: equal rows are at distance 0 exactly.
    """
    with torch.autocast(a.device.type, enabled=False):
        a, b = full_precision(a), full_precision(b)
        scale = a.square().sum(1)[:, None] + b.square().sum(1)
        distances = torch.addmm(scale, a, b.T, alpha=-2)
        return distances.masked_fill(distances < 8 * torch.finfo(a.dtype).eps * scale, 0)


def full_precision(tensor: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """As float32, if it has fewer bits."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def count_triplets(labels: Shaped[Tensor, " n"]) -> int:
    """How many (anchor, positive, negative) a batch with these identities has: P(P-1)K²(K-1) for P with K rows each."""
    sizes = labels.unique(return_counts=True)[1]
    return int((sizes * (sizes - 1) * (len(labels) - sizes)).sum())


def require_choices(mining: str, margin: float, reduction: str = "mean") -> None:
    """Refuse what can't be meant.

    Raises:
        ConfigError: an unknown name, or a margin that isn't a positive number.
    """
    if reduction not in REDUCTIONS:
        raise ConfigError(f"there is no reduction called {reduction!r}; choose {' or '.join(REDUCTIONS)}.")
    if mining not in MININGS:
        raise ConfigError(f"there is no mining called {mining!r}; choose one of {', '.join(MININGS)}.")
    if not (math.isfinite(margin) and margin > 0):
        raise ConfigError(f"a margin of {margin} can't be meant; give a positive number, as FaceNet's 0.2.")


@dataclass(frozen=True)
class Block:
    """Some anchors, in a pool of rows that may be their positives or negatives."""

    distances: Float[Tensor, "anchors n"]
    """From each anchor to each row of the pool."""
    negative: Bool[Tensor, "anchors n"]
    """Which rows are negatives of an anchor."""
    positives: Int64[Tensor, "anchors k"]
    """The rows that are an anchor's positives, padded to the most that one of them has."""
    real: Bool[Tensor, "anchors k"]
    """Which of these are no padding."""


@dataclass(frozen=True)
class Mined:
    """What the chosen triplets of a block come to; only *active* ones, whose loss is positive, have weight."""

    weights: Float[Tensor, "anchors n"]
    """The derivative of the sum of their losses by each distance, in whole numbers: each row's sum is 0."""
    chosen: Int64[Tensor, ""]
    """Triplets that the mining chose."""
    active: Int64[Tensor, ""]
    """Of these, triplets with D(a,n) < D(a,p) + margin."""
    skipped: Int64[Tensor, ""]
    """Pairs of anchor and positive without a negative of the kind asked for."""
    violating: Int64[Tensor, ""]
    """Triplets with D(a,n) < D(a,p) + margin, chosen or not."""


def mine(block: Block, mining: Mining, margin: float, noise: Float[Tensor, "anchors k"] | None = None) -> Mined:
    """Choose triplets.

    Args:
        noise: uniform in [0, 1): which negative each pair draws, for "random-semi-hard" alone.

    Raises:
        ConfigError: "random-semi-hard" without noise.
    """
    nearest, order = _sort_rows(block.distances.masked_fill(~block.negative, torch.inf))
    pairs = block.distances.gather(1, block.positives)
    inside = torch.searchsorted(nearest, pairs + margin)  # how many D(a,n) < D(a,p) + margin
    # Every mining is a range of ranks among the anchor's negatives, or one place in it.
    first = torch.searchsorted(nearest, pairs, right=True) if "semi-hard" in mining else torch.zeros_like(inside)
    if mining in ("semi-hard", "hardest-semi-hard", "random-semi-hard"):
        last = inside
    elif mining == "hard":
        last = torch.searchsorted(nearest, pairs)
    else:
        last = block.negative.sum(1, keepdim=True).expand_as(inside)
    last = torch.maximum(first, last).where(block.real, first)
    found = last > first
    if mining == "random-semi-hard":
        if noise is None:
            raise ConfigError("random-semi-hard draws its negatives by chance: give a generator to draw with.")
        first = first + (noise * (last - first)).long()
    if mining.startswith(("hardest", "random")):
        last = first + found
    active = torch.minimum(last, inside).clamp(min=first) - first
    return Mined(
        _weights(block, order, first, active),
        chosen=(last - first).sum(),
        active=active.sum(),
        skipped=(block.real & ~found).sum(),
        violating=inside.where(block.real, 0).sum(),
    )


def _sort_rows(values: Float[Tensor, "anchors n"]) -> tuple[Float[Tensor, "anchors n"], Int64[Tensor, "anchors n"]]:
    """Each row in order and where its values stood, the first of equals first; no value may be negative."""
    if values.device.type != "cpu" or values.dtype != torch.float32:
        return values.sort(dim=1, stable=True)
    # On a CPU this is the most of the work, and numpy sorts whole numbers six times as fast as torch sorts floats. A
    # float that isn't negative compares as its bits do; the column below them keeps equals in order.
    keys = values.view(torch.int32).long().bitwise_left_shift_(32).bitwise_or_(torch.arange(values.shape[1]))
    keys.numpy().sort(axis=1)
    return (keys >> 32).int().view(torch.float32), keys.bitwise_and_(0xFFFFFFFF)


def _weights(
    block: Block,
    order: Int64[Tensor, "anchors n"],
    first: Int64[Tensor, "anchors k"],
    count: Int64[Tensor, "anchors k"],
) -> Float[Tensor, "anchors n"]:
    """Each pair has a triplet with each of ``count`` negatives from rank ``first`` on."""
    anchors, rows = block.distances.shape
    one = torch.ones_like(first, dtype=block.distances.dtype)
    steps = (
        block.distances.new_zeros(anchors, rows + 1).scatter_add_(1, first, -one).scatter_add_(1, first + count, one)
    )
    weights = torch.empty_like(block.distances).scatter_(1, order, steps.cumsum(1)[:, :rows])
    return weights.scatter_add_(1, block.positives, count.to(weights.dtype))
