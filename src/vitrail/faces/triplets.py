"""The triplet loss on squared distances (FaceNet, section 3.1): [D(a,p) - D(a,n) + margin]+ over mined triplets.

Value and gradient are worked out together, some anchors at a time: each block gives its part of the loss and, from the
matrix W of ``mining``, its part of the gradient, dL/de_i = 2 Σ_j (W_ij + W_ji)(e_i - e_j). So memory is that of one
block, a few dozen MB, and nothing of a block is kept for backward.

The paper says neither how the sum over triplets is scaled nor what a pair without a semi-hard negative does. We divide
by the triplets whose loss is positive (else the step would shrink as the network learns), and skip such pairs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor
from torch.autograd.function import once_differentiable

from vitrail.errors import ConfigError
from vitrail.faces.mining import Block, Mining, Reduction, full_precision, mine, require_choices, squared_distances
from vitrail.faces.statistics import TripletStatistics, spread

BLOCK = {"cpu": 2**18, "cuda": 2**24}
"""Distances that are worked on at once: on a CPU as many as its caches like."""


def triplet_loss(
    embeddings: Float[Tensor, "b d"],
    labels: Shaped[Tensor, " labels"],
    margin: float = 0.2,
    mining: Mining = "semi-hard",
    reduction: Reduction = "mean",
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, ""], TripletStatistics]:
    """The loss of a batch and what it was made of.

    Neither triplets nor the matrix of all distances are ever kept: memory hardly grows with the batch, time with its
    square. The gradient is exact, as if each chosen triplet had been written out; there are no second derivatives.

    Args:
        embeddings: one a face, usually unit vectors; computed with in float32 at least, whatever autocast says.
        labels: whose face each is, one an embedding. An identity that is there once only serves as a negative.
        margin: by how much a negative should be farther than a positive, as a squared distance.
        mining: which triplets count (``vitrail.faces.mining.Mining``).
        reduction: what is done with the triplets whose loss is positive.
        generator: on the CPU, for "random-semi-hard" alone.

    Returns:
        (loss, statistics): without a triplet, as with one identity alone, the loss is 0 and so is its gradient.

    Raises:
        ConfigError: an unknown mining or reduction, a margin that isn't positive, as many labels as there aren't
            embeddings, or "random-semi-hard" without a generator.
    """
    everyone = torch.ones(len(labels), dtype=torch.bool, device=labels.device)
    return loss_of_roles(
        embeddings, labels, [Roles(everyone, everyone, everyone)], margin, mining, reduction, generator
    )


class Roles(NamedTuple):
    """A kind of triplet: which rows of a pool may be its anchor, its positive and its negative."""

    anchors: Bool[Tensor, " n"]
    positives: Bool[Tensor, " n"]
    negatives: Bool[Tensor, " n"]


def loss_of_roles(
    pool: Float[Tensor, "n d"],
    labels: Shaped[Tensor, " labels"],
    kinds: Sequence[Roles],
    margin: float,
    mining: Mining,
    reduction: Reduction,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, ""], TripletStatistics]:
    """As ``triplet_loss``, for triplets of several kinds at once; no two kinds may have a triplet in common."""
    require_choices(mining, margin, reduction)
    if len(pool) != len(labels):
        raise ConfigError(f"there are {len(pool)} embeddings and {len(labels)} labels; give one label an embedding.")
    given, pool = pool, full_precision(pool)
    with torch.no_grad(), torch.autocast(pool.device.type, enabled=False):
        summed = _Sums(pool, margin)
        for roles in kinds:
            for block, rows, noise in _blocks(pool, labels, roles, mining, generator):
                summed.add(block, rows, mining, noise)
        statistics = summed.statistics(labels)
        scale = 1 / statistics.active.clamp(min=1).double() if reduction == "mean" else 1.0
        loss, gradient = (summed.loss * scale).to(pool.dtype), (summed.gradient() * scale).to(pool.dtype)
    return cast(Tensor, _Known.apply(given, loss, gradient)), statistics  # type: ignore[no-untyped-call]


class _Known(torch.autograd.Function):
    """Gives a loss the gradient that was worked out beside it."""

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        ctx.dtype = embeddings.dtype
        return loss.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * outer).to(ctx.dtype), None, None


class _Sums:
    """Loss, gradient and counts of the blocks so far."""

    def __init__(self, pool: Tensor, margin: float) -> None:
        self.pool, self.margin = pool, margin
        self.loss = pool.new_zeros((), dtype=torch.float64)
        self._pulls = torch.zeros_like(pool)
        self._columns = pool.new_zeros(len(pool))
        self.counts = torch.zeros(6, dtype=torch.int64, device=pool.device)

    def add(self, block: Block, rows: Int64[Tensor, " anchors"], mining: Mining, noise: Tensor | None) -> None:
        mined = mine(block, mining, self.margin, noise)
        weights = mined.weights
        # Not by the chosen distances alone: one that isn't a number must show, chosen or not.
        self.loss += (weights * block.distances).sum(dtype=torch.float64) + self.margin * mined.active.double()
        self._pulls[rows] += weights @ self.pool
        self._pulls.addmm_(weights.T, self.pool[rows])
        self._columns += weights.sum(0)
        pairs = block.real.sum(1)
        triplets = (pairs * block.negative.sum(1)).sum()
        self.counts += torch.stack([pairs.sum(), mined.skipped, triplets, mined.violating, mined.chosen, mined.active])

    def gradient(self) -> Float[Tensor, "n d"]:
        """Of the loss: 2 Σ_j (W_ij + W_ji)(e_i - e_j), where no row's sum Σ_j W_ij is anything but 0."""
        return 2 * (self._columns[:, None] * self.pool - self._pulls)

    def statistics(self, labels: Tensor) -> TripletStatistics:
        pairs, skipped, triplets, violating, chosen, active = self.counts.unbind()
        return TripletStatistics(pairs, skipped, triplets, violating, chosen, active, *spread(self.pool, labels))


@dataclass(frozen=True)
class _Positives:
    """Each anchor's positives: as the labels are sorted, neighbours in ``rows``."""

    rows: Int64[Tensor, " candidates"]
    start: Int64[Tensor, " anchors"]
    own: Int64[Tensor, " anchors"]
    """Which of its identity's candidates the anchor is itself; beyond them if it is none."""
    count: Int64[Tensor, " anchors"]

    @classmethod
    def of(cls, labels: Tensor, anchors: Tensor, candidates: Tensor) -> "_Positives":
        ordered, order = labels[candidates].sort(stable=True)
        start = torch.searchsorted(ordered, labels[anchors])
        size = torch.searchsorted(ordered, labels[anchors], right=True) - start
        place = torch.full((len(labels),), len(labels), device=labels.device)
        place[candidates[order]] = torch.arange(len(order), device=labels.device)
        own = (place[anchors] - start).clamp(max=len(labels))
        return cls(candidates[order], start, own, size - (own < size).long())

    def of_anchors(self, part: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """(rows, which of them are no padding), each ``[part most]``."""
        steps = torch.arange(most, device=part.device)
        places = self.start[part, None] + steps + (steps >= self.own[part, None]).long()
        return self.rows[places.clamp(max=len(self.rows) - 1)], steps < self.count[part, None]


def _blocks(
    pool: Tensor, labels: Tensor, roles: Roles, mining: Mining, generator: torch.Generator | None
) -> Iterator[tuple[Block, Tensor, Tensor | None]]:
    """Each block with the rows that are its anchors, and with noise where the mining wants it.

    Anchors with as many positives come together, so that there is little padding; those without any don't come.
    """
    anchors = roles.anchors.nonzero().squeeze(1)
    positives = _Positives.of(labels, anchors, roles.positives.nonzero().squeeze(1))
    counts, order = positives.count.sort(descending=True, stable=True)
    order = order[: int((counts > 0).sum())]
    if not len(order):
        return
    most = counts.tolist()
    size = max(1, BLOCK.get(pool.device.type, BLOCK["cuda"]) // max(1, len(pool)))
    for at, part in zip(range(0, len(order), size), order.split(size), strict=True):
        rows = anchors[part]
        found, real = positives.of_anchors(part, most[at])
        negative = roles.negatives & (labels[rows, None] != labels)
        noise = None
        if mining == "random-semi-hard" and generator is not None:
            noise = torch.rand(found.shape, generator=generator).to(pool.device)
        yield Block(squared_distances(pool[rows], pool), negative, found, real), rows, noise
