"""Every face of a set compared with every other: VAL and FAR over all pairs (FaceNet, section 4.1).

A set of 3,708 faces has 6.9 million pairs, one of 100,000 has 5 billion. They are gone through in blocks, and this is
what is kept of them: each same-person distance with how many different-person pairs are closer, which is the whole ROC;
and the closest different-person pairs with the people that they are of, which is all that a small FAR asks for. Nothing
is binned: every figure is what all pairs held at once would give.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor

from vitrail.errors import ConfigError, DataError
from vitrail.faces.bootstrap import DRAWS, AtFar, Comparisons, at_far
from vitrail.faces.mining import squared_distances
from vitrail.faces.verification import Roc, just_below, require_finite

BLOCK = 2**21  # distances that are worked on at once
KEEP = 2_000_000


@dataclass(frozen=True)
class AllPairs:
    """What all pairs of a set of faces come to."""

    same: Comparisons
    """The pairs of one person: all of them."""
    closest: Comparisons
    """The closest pairs of different people: all, or as many as were to be kept."""
    closer: Int64[Tensor, " n"]
    """For each pair of one person, the pairs of different people that are closer."""
    as_close: Int64[Tensor, " n"]
    """Likewise those that are closer or just as close."""
    faces: Int64[Tensor, " people"]
    """How many faces each person has; people stand in the order of their labels."""
    both_ways: bool
    """Whether (i, j) and (j, i) are two pairs: between two embeddings they are."""

    @property
    def different_pairs(self) -> int:
        """How many pairs of different people there are."""
        return int(self._weigh_all(torch.ones(len(self.faces), dtype=torch.float64)))

    def at_far(self, far: float, draws: int = DRAWS, seed: int = 0) -> AtFar:
        """VAL and threshold where at most ``far`` of the different-person pairs are accepted, with errors over people.

        Args:
            far: the rate, for instance 1e-3.
            draws: of people.
            seed: of the draws.

        Raises:
            ConfigError: a rate that isn't between 0 and 1.
            DataError: too few pairs of different people for so small a rate, or too few kept for so large a one.
        """
        return at_far(far, self.same, self.closest, self._weigh_all, len(self.faces), draws, seed)

    def roc(self) -> Roc:
        """The curve, with two points at each same-person distance: just below it and at it.

        Between two of them only different-person pairs are accepted: VAL stands still and nothing is lost.
        """
        distances = self.same.distances
        last = torch.cat([distances[1:] != distances[:-1], torch.ones(1, dtype=torch.bool)]).nonzero().squeeze(1)
        accepted = torch.nn.functional.pad((last + 1).double() / len(distances), (1, 0))
        refused = torch.stack([self.closer[last], self.as_close[last]], 1).double() / self.different_pairs
        thresholds = torch.stack([just_below(distances[last]), distances[last]], 1)
        return Roc(
            _between(-torch.inf, thresholds, torch.inf),
            _between(0.0, refused, 1.0),
            _between(0.0, torch.stack([accepted[:-1], accepted[1:]], 1), 1.0),
        )

    def _weigh_all(self, weights: Float64[Tensor, " people"]) -> float:
        faces = weights * self.faces
        ordered = float(faces.sum() ** 2 - (faces**2).sum())
        return ordered if self.both_ways else ordered / 2


def compare_all(
    embeddings: Float[Tensor, "n d"],
    labels: Shaped[Tensor, " n"],
    others: Float[Tensor, "n d"] | None = None,
    keep: int = KEEP,
) -> AllPairs:
    """Compare every face with every other.

    Memory is a few hundred MB at most, whatever the number of faces, and grows with ``keep`` and with the number of
    same-person pairs only; time grows with the square of the number of faces (3,708: some seconds).

    Args:
        embeddings: one a face.
        labels: whose face it is.
        others: the same faces embedded by another network: then face i of ``embeddings`` is compared with each face
            j ≠ i of ``others`` (the mixed ROC of the paper's appendix).
        keep: how many of the closest different-person pairs to keep: as many as a FAR may accept, and half as many
            again for the errors.

    Raises:
        ConfigError: as many labels as there aren't embeddings, two networks' of different faces, or nothing to keep.
        DataError: an embedding that isn't finite, or no pair of one of the two kinds.
    """
    if len(labels) != len(embeddings):
        raise ConfigError(f"there are {len(embeddings)} embeddings and {len(labels)} labels; give one of each a face.")
    if others is not None and len(others) != len(embeddings):
        raise ConfigError(
            f"there are {len(embeddings)} embeddings of one network and {len(others)} of another; embed the same faces."
        )
    if keep < 1:
        raise ConfigError(f"keeping {keep} pairs leaves nothing to measure; keep 1 at least.")
    for given in (embeddings, others):
        if given is not None:
            require_finite(given)
    labels, order = labels.unique(return_inverse=True)[1].sort(stable=True)
    faces = labels.bincount()
    both_ways = others is not None
    rows = embeddings[order]
    columns = rows if others is None else others[order]
    same = _same_pairs(rows, columns, faces, both_ways)
    if len(faces) < 2 or len(same.distances) == 0:
        raise DataError(
            f"the set has {len(labels)} faces of {len(faces)} people and no pair of one person or none of two; "
            "give at least two people and two faces of one."
        )
    counts = torch.zeros(2, len(same.distances), dtype=torch.int64)
    closest = _Closest(keep)
    size = max(1, BLOCK // len(rows))
    for start in range(0, len(rows), size):
        own = labels[start : start + size, None]
        # One way only: as people are in order, whom a person hasn't been compared with comes after.
        first = 0 if both_ways else int(torch.searchsorted(labels, own[0], right=True))
        partners = labels[first:]
        distances = squared_distances(rows[start : start + size], columns[first:])
        different = partners != own if both_ways else partners > own
        counts += _count_closer(distances[different], same.distances)
        row, column = (different & (distances <= closest.bound)).nonzero().unbind(1)
        closest.add(distances[row, column], torch.stack([own[row, 0], partners[column]], 1))
    return AllPairs(same, closest.comparisons(), counts[0], counts[1], faces, both_ways)


class _Closest:
    """The closest comparisons so far."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.bound = math.inf
        self.found: list[Comparisons] = []

    def add(self, distances: Tensor, people: Tensor) -> None:
        self.found.append(Comparisons(distances, people))
        if sum(len(found.distances) for found in self.found) > 2 * self.keep:
            self.found = [self.comparisons()]
            self.bound = float(self.found[0].distances[-1])

    def comparisons(self) -> Comparisons:
        distances, order = torch.cat([found.distances for found in self.found]).sort(stable=True)
        people = torch.cat([found.people for found in self.found])
        return Comparisons(distances[: self.keep].clone(), people[order[: self.keep]])


def _same_pairs(rows: Tensor, columns: Tensor, faces: Tensor, both_ways: bool) -> Comparisons:
    """All pairs of one person; the rows stand person by person."""
    distances, people = [rows.new_zeros(0)], [faces.new_zeros(0, 1)]
    ends = faces.cumsum(0)
    for person in (faces > 1).nonzero().squeeze(1).tolist():
        end, count = int(ends[person]), int(faces[person])
        square = squared_distances(rows[end - count : end], columns[end - count : end])
        chosen = ~torch.eye(count, dtype=torch.bool)
        distances.append(square[chosen if both_ways else chosen.triu()])
        people.append(torch.full((len(distances[-1]), 1), person))
    ordered, order = torch.cat(distances).sort()
    return Comparisons(ordered, torch.cat(people)[order])


def _count_closer(others: Tensor, distances: Tensor) -> Tensor:
    """For each of ``distances``, ascending, how many of ``others`` are less, and how many at most as much."""
    ordered = torch.from_numpy(np.sort(others.numpy()))  # which numpy does several times as fast
    return torch.stack([torch.searchsorted(ordered, distances, right=right) for right in (False, True)])


def _between(first: float, points: Tensor, last: float) -> Tensor:
    return torch.cat([points.new_tensor([first]), points.flatten(), points.new_tensor([last])])
