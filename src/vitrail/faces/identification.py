"""Who is this, among the people that are enrolled? Closed-set ranks and open-set errors.

A search compares one face, the probe, with a gallery. A person is as far away as the nearest of their enrolled faces,
and ranks count people, not faces. Where every probe's person is enrolled, rank-k is the share of probes with their
own person among the k nearest, and the cumulative match characteristic (CMC) is rank-k over k.

Where some are not, a search should also say "nobody", and errors are those of ISO/IEC 19795-1:2021 and NIST's
evaluations (Grother, Ngan, Hanaoka: FRVT part 2, NISTIR 8271), on distances where theirs are on similarities:

    FPIR(N, T)    = non-mated searches that return anybody at a distance of at most T / non-mated searches
    FNIR(N, R, T) = mated searches whose person isn't among the R nearest, or is farther than T / mated searches

N, the number of people enrolled, belongs to each figure: the more there are, the nearer is the nearest stranger.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from vitrail.errors import ConfigError, DataError
from vitrail.faces.bootstrap import DRAWS, Comparisons, at_far
from vitrail.faces.mining import squared_distances
from vitrail.faces.verification import Estimate, Threshold, require_finite

BLOCK = 2**21  # distances that are worked on at once


@dataclass(frozen=True)
class Searches:
    """What came of comparing each probe with the whole gallery."""

    people: Int64[Tensor, " probes"]
    """Whose probe it is, numbered from 0 over all probes."""
    nearest: Float[Tensor, " probes"]
    """Distance of the nearest enrolled person, whoever it is."""
    mate: Float[Tensor, " probes"]
    """Distance of the probe's own person; inf where that person isn't enrolled."""
    rank: Int64[Tensor, " probes"]
    """People at least as near as the probe's own, that one included: 1 is best. Equally near others count, so that a
    network which embeds every face in the same place gets no rank by luck. 0 where the person isn't enrolled."""
    enrolled: int
    """People in the gallery."""

    @property
    def mated(self) -> Bool[Tensor, " probes"]:
        """Whether the probe's person is enrolled."""
        return self.rank > 0


class OpenSet(NamedTuple):
    """FNIR at a FPIR."""

    fpir: float
    """The rate that was asked for."""
    fnir: Estimate
    """Share of mated searches that miss their person, and its error over people."""
    threshold: Threshold
    """Up to which distance a person is named; with its 95% interval over people."""
    rank: int
    """R: only so many of the nearest are named."""
    enrolled: int
    """N: people in the gallery."""


def search(
    probes: Float[Tensor, "probes d"],
    probe_people: Int64[Tensor, " probes"],
    gallery: Float[Tensor, "faces d"],
    gallery_people: Int64[Tensor, " faces"],
) -> Searches:
    """Compare each probe with everybody who is enrolled, by squared distance, some probes at a time.

    Args:
        probes: embeddings to search for.
        probe_people: whose they are; people who aren't in the gallery make non-mated searches.
        gallery: embeddings that are enrolled; none of them should be of a probe's own picture.
        gallery_people: whose they are, in the same numbers.

    Raises:
        ConfigError: as many people as there aren't embeddings.
        DataError: an empty gallery, no probe, or an embedding that isn't finite.
    """
    for embeddings, people, name in ((probes, probe_people, "probes"), (gallery, gallery_people, "enrolled faces")):
        if len(embeddings) != len(people):
            raise ConfigError(f"there are {len(embeddings)} {name} of {len(people)} people; name one person a face.")
        if len(embeddings) == 0:
            raise DataError(f"there are no {name}; give at least one.")
        require_finite(embeddings)
    names, place = gallery_people.unique(return_inverse=True)
    own = torch.searchsorted(names, probe_people).clamp(max=len(names) - 1)
    mated = names[own] == probe_people
    nearest, mate, rank = [], [], []
    for rows in torch.arange(len(probes)).split(max(1, BLOCK // len(gallery))):
        faces = squared_distances(probes[rows], gallery)
        people = faces.new_full((len(rows), len(names)), torch.inf)
        people.scatter_reduce_(1, place.expand(len(rows), -1), faces, "amin")
        nearest.append(people.amin(1))
        mate.append(people.gather(1, own[rows, None]).squeeze(1).where(mated[rows], torch.inf))
        rank.append((people <= mate[-1][:, None]).sum(1).where(mated[rows], 0))
    numbers = probe_people.unique(return_inverse=True)[1]
    return Searches(numbers, torch.cat(nearest), torch.cat(mate), torch.cat(rank), len(names))


def rank_rate(searches: Searches, rank: int = 1) -> Estimate:
    """Share of mated searches with their own person among the ``rank`` nearest; the error is over people.

    Searches of one person hang together, so a person's deviations from the rate are summed before they are squared.

    Raises:
        ConfigError: a rank below 1.
        DataError: no mated search.
    """
    _require_rank(rank)
    found = (searches.rank[_mated(searches)] <= rank).double()
    value = found.mean()
    people = searches.people[searches.mated].unique(return_inverse=True)[1]
    strayed = found.new_zeros(int(people.max()) + 1).index_add_(0, people, found - value)
    count = len(strayed)
    spread = float(strayed.square().sum()) * count / (count - 1) if count > 1 else math.nan
    return Estimate(float(value), math.sqrt(spread) / len(found))


def cmc(searches: Searches) -> Float64[Tensor, " enrolled"]:
    """Rank-1, rank-2, ... up to the number of people enrolled, where it is 1.

    Raises:
        DataError: no mated search.
    """
    ranks = searches.rank[_mated(searches)]
    return ranks.bincount(minlength=searches.enrolled + 1)[1:].cumsum(0).double() / len(ranks)


def fnir_at_fpir(searches: Searches, fpir: float, rank: int = 1, draws: int = DRAWS, seed: int = 0) -> OpenSet:
    """FNIR where at most ``fpir`` of the non-mated searches name anybody; errors by resampling people.

    Args:
        fpir: the rate, for instance 0.01.
        rank: R, how many are named at most; with 1, naming a wrong person is a miss as naming nobody is.
        draws: of people.
        seed: of the draws.

    Raises:
        ConfigError: a rate that isn't between 0 and 1, or a rank below 1.
        DataError: no mated search, or too few non-mated ones for so small a rate.
    """
    _require_rank(rank)
    mated = _mated(searches)
    missed = searches.mate.masked_fill(searches.rank > rank, torch.inf)
    strangers = searches.people[~mated]

    def weigh_strangers(weights: Float64[Tensor, " people"]) -> float:
        return float(weights[strangers].sum())

    found = at_far(
        fpir,
        _ordered(missed[mated], searches.people[mated]),
        _ordered(searches.nearest[~mated], strangers),
        weigh_strangers,
        int(searches.people.max()) + 1,
        draws,
        seed,
        "searches for people who aren't enrolled",
    )
    return OpenSet(
        fpir, Estimate(1 - found.val.value, found.val.standard_error), found.threshold, rank, searches.enrolled
    )


def _ordered(distances: Float[Tensor, " searches"], people: Int64[Tensor, " searches"]) -> Comparisons:
    ordered, order = distances.sort()
    return Comparisons(ordered, people[order, None])


def _mated(searches: Searches) -> Bool[Tensor, " probes"]:
    if not searches.mated.any():
        raise DataError("no probe's person is enrolled; search for at least one who is.")
    return searches.mated


def _require_rank(rank: int) -> None:
    if rank < 1:
        raise ConfigError(f"a rank of {rank} can't be meant; the nearest person has rank 1.")
