"""How clusters are joined: all that are each other's nearest, round after round, with average linkage.

With this distance of clusters, infinite ones of forbidden pairs included, a joined cluster is never nearer to a third
than the nearer of its parts was. So two clusters that are each other's nearest stay so until they are joined, and
they may be joined in any order (reciprocal nearest neighbours, Murtagh 1983; in rounds, Sumengen et al. 2021,
arXiv:2105.11653): the result is that of joining the two nearest of all, one pair at a time. By the same rule a
cluster's distance from its nearest is a bound for ever: who is beyond the limit is done with, and whose bound is high
needn't be looked at yet.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor
from torch.nn.functional import normalize

from vitrail.errors import ConfigError

Pairs = Int64[Tensor, "pairs 2"] | Sequence[tuple[int, int]]
"""Faces by their places, two by two."""

BLOCK = 2**21  # distances that are worked on at once
FEW = 64  # clusters whose nearest is looked for in a round, at least
JITTER = 1e-13  # of a mean squared length: far above rounding, far below any distance that means something


class Clusters:
    """The clusters that may still be joined."""

    def __init__(self, embeddings: Float64[Tensor, "faces d"], apart: Int64[Tensor, "pairs 2"]) -> None:
        count = len(embeddings)
        self.face = torch.arange(count)  # one of each
        self.size = torch.ones(count, dtype=torch.float64)
        # Equal faces would be joined one a round, all to the first: no two are equal in some further dimensions.
        scale = float(embeddings.square().sum(1).mean()) if count else 0.0
        jitter = torch.randn(count, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        self.mean = torch.cat([embeddings, (JITTER * scale) ** 0.5 * normalize(jitter)], 1)
        self.square = self.mean.square().sum(1)  # mean |x|² of its faces
        self.slack = 8 * JITTER * scale  # more than what this and rounding add to a distance
        self.nearest = torch.zeros(count, dtype=torch.int64)
        self.bound = torch.full((count,), -torch.inf, dtype=torch.float64)  # no other one is nearer than this
        self.known = torch.zeros(count, dtype=torch.bool)  # whether the nearest one is, and is as near as the bound
        self.apart = torch.cat([apart, apart.flip(1)])
        self.seek = count  # how many clusters' nearest to find before looking who can be joined

    def find_joins(self, limit: float) -> bool:
        """Find clusters that are each other's nearest and within the limit; False if there are none.

        Those that are beyond the limit of all others are forgotten.
        """
        while True:
            unknown = (~self.known).nonzero().squeeze(1)
            if len(unknown) > self.seek:  # those with the lowest bounds are the next to be joined
                unknown = unknown[self.bound[unknown].topk(self.seek, largest=False).indices]
            self._look(unknown)
            self._remove((self.bound > limit + self.slack) | self.bound.isposinf())
            if len(self.face) < 2:
                return False
            if self._mutual().any():
                return True
            if self.known.all():  # only rounding makes the nearest two of all disagree
                closest = self.bound.argmin()
                self.nearest[self.nearest[closest]] = closest
                return True
            self.seek *= 2

    def join(self) -> tuple[Int64[Tensor, "joins 2"], Float64[Tensor, " joins"]]:
        """Join all that are each other's nearest; returns a face of either and how far apart they were."""
        first = self._mutual().nonzero().squeeze(1)
        second = self.nearest[first]
        faces, heights = torch.stack([self.face[first], self.face[second]], 1), self.bound[first]
        share = self.size[second] / (self.size[first] + self.size[second])
        self.mean[first] += share[:, None] * (self.mean[second] - self.mean[first])
        self.square[first] += share * (self.square[second] - self.square[first])
        self.size[first] += self.size[second]
        joined, gone = torch.zeros_like(self.known), torch.zeros_like(self.known)
        joined[first] = joined[second] = gone[second] = True
        self.known &= ~(joined | joined[self.nearest])
        into = torch.arange(len(self.face))
        into[second] = first
        self.apart = into[self.apart]
        self._remove(gone)
        # Where few are joined at a time, most bounds won't matter in the next round.
        self.seek = FEW + 8 * len(first)
        return faces, heights.where(heights > self.slack, 0)

    def _mutual(self) -> Bool[Tensor, " clusters"]:
        """One of each two that are known to be each other's nearest."""
        own = torch.arange(len(self.face))
        return self.known & self.known[self.nearest] & (self.nearest[self.nearest] == own) & (own < self.nearest)

    def _look(self, rows: Int64[Tensor, " rows"]) -> None:
        """Find the nearest of each of these."""
        size = max(1, BLOCK // max(1, len(self.face)))
        place = torch.full_like(self.face, -1)
        for part in rows.split(size) if len(rows) else ():
            own = torch.arange(len(part))
            distances = torch.addmm(self.square, self.mean[part], self.mean.T, alpha=-2)
            place.fill_(-1)[part] = own
            row, column = place[self.apart[:, 0]], self.apart[:, 1]
            distances[row[row >= 0], column[row >= 0]] = torch.inf
            distances[own, part] = torch.inf
            least, self.nearest[part] = distances.min(1)
            self.bound[part] = least + self.square[part]
        self.known[rows] = True

    def _remove(self, gone: Bool[Tensor, " clusters"]) -> None:
        """Forget some: the last ones move to their places, so that little is copied."""
        left = len(gone) - int(gone.sum())
        holes, movers = gone[:left].nonzero().squeeze(1), (~gone[left:]).nonzero().squeeze(1) + left
        for name in ("face", "size", "mean", "square", "nearest", "bound", "known"):
            values = getattr(self, name)
            values[holes] = values[movers]
            setattr(self, name, values[:left])
        place = torch.arange(len(gone))
        place[movers] = holes
        self.known &= ~gone[self.nearest]
        self.nearest = place[self.nearest].where(self.known, 0)
        self.apart = place[self.apart[~gone[self.apart].any(1)]]


def pairs_of(given: Pairs, faces: int) -> Int64[Tensor, "pairs 2"]:
    """As a tensor.

    Raises:
        ConfigError: a pair of faces that aren't there, or of one face.
    """
    pairs = torch.as_tensor(given, dtype=torch.int64).reshape(-1, 2).cpu()
    wrong = ((pairs < 0) | (pairs >= faces)).any(1) | (pairs[:, 0] == pairs[:, 1])
    if wrong.any():
        first, second = pairs[wrong][0].tolist()
        raise ConfigError(
            f"faces {first} and {second} can't be kept apart; name two different ones, from 0 to {faces - 1}."
        )
    return pairs
