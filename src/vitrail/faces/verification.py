"""Are two faces the same person's? Rates of pairs accepted at a threshold (FaceNet, section 4).

A pair is accepted where its distance is at most the threshold d. TA(d) are the accepted pairs of one person, FA(d) the
accepted ones of two; VAL(d) = |TA(d)| / |P_same| and FAR(d) = |FA(d)| / |P_diff|. Only the order of distances matters,
so any distance does; ours are squared ones (``mining.squared_distances``).

Here pairs are given one by one, as benchmarks list them, and count as independent; ``pairs`` compares every face of a
set with every other, where they can't be. The paper says how VAL's error comes from five splits. Where there are none,
ours is that of infinitely many bootstrap samples: the threshold of a sample of n different-person pairs is one of their
order statistics, whose rank is beta-distributed, so the spread is integrated and nothing is drawn.

A threshold for a FAR is the largest number below the first different-person distance that must not be accepted: no
threshold accepts more at that FAR. It is a value of the distances' own precision.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int64, Shaped
from torch import Tensor

from vitrail.errors import ConfigError, DataError

LEVELS = 1000  # at which the distribution of a threshold is integrated


class Estimate(NamedTuple):
    """A measured value and how far it would stray if the measurement were repeated."""

    value: float
    standard_error: float


class Threshold(NamedTuple):
    """The distance up to which a pair is accepted, and the interval of thresholds that other data might have given."""

    value: float
    low: float
    high: float


class Roc(NamedTuple):
    """What every threshold accepts, from none to all pairs."""

    thresholds: Float[Tensor, " points"]
    """Ascending; the first is -inf, which accepts nothing."""
    far: Float64[Tensor, " points"]
    """Share of the different-person pairs that are accepted."""
    val: Float64[Tensor, " points"]
    """Share of the same-person pairs that are accepted."""

    def area(self) -> float:
        """Under the curve of VAL over FAR: how often a same-person pair is closer than another, ties counting half."""
        return float(torch.trapezoid(self.val, self.far))

    def equal_error_rate(self) -> float:
        """The rate at which FAR and 1 - VAL are the same; between two points, on the line that joins them."""
        excess = self.far - (1 - self.val)
        right = int((excess >= 0).nonzero()[0])
        left = right - 1  # there is one: at -inf the excess is -1
        share = -excess[left] / (excess[right] - excess[left])
        return float(self.far[left] + share * (self.far[right] - self.far[left]))


def roc(distances: Float[Tensor, " pairs"], same: Bool[Tensor, " pairs"]) -> Roc:
    """The curve through every different threshold.

    Args:
        distances: of the two faces of each pair.
        same: whether both are of one person.

    Raises:
        DataError: a distance that isn't a number, or no pair of one of the two kinds.
    """
    require_pairs(distances, same)
    ordered, order = distances.sort()
    accepted = same[order].cumsum(0)
    last = torch.cat([ordered[1:] != ordered[:-1], accepted.new_ones(1, dtype=torch.bool)])
    val = accepted[last].double() / accepted[-1]
    refused = torch.arange(1, len(ordered) + 1, device=accepted.device) - accepted
    far = refused[last].double() / refused[-1]
    zero = far.new_zeros(1)
    return Roc(
        torch.cat([ordered.new_full((1,), -torch.inf), ordered[last]]), torch.cat([zero, far]), torch.cat([zero, val])
    )


def auc(distances: Float[Tensor, " pairs"], same: Bool[Tensor, " pairs"]) -> float:
    """Area under the ROC: 0.5 for distances that know nothing, 1 for a threshold without error; raises as ``roc``."""
    return roc(distances, same).area()


def eer(distances: Float[Tensor, " pairs"], same: Bool[Tensor, " pairs"]) -> float:
    """The equal error rate: as many different-person pairs accepted as same-person ones refused; raises as ``roc``."""
    return roc(distances, same).equal_error_rate()


def threshold_for_far(
    distances: Float[Tensor, " pairs"], same: Bool[Tensor, " pairs"], far: float, confidence: float = 0.95
) -> Threshold:
    """The largest threshold at which at most ``far`` of the different-person pairs are accepted.

    The interval is that of the order statistic, pairs being independent: it needs no assumption about how distances are
    distributed.

    Raises:
        ConfigError: a rate that isn't between 0 and 1.
        DataError: too few different-person pairs for so small a rate, or what ``roc`` refuses.
    """
    require_pairs(distances, same)
    if not 0 < confidence < 1:
        raise ConfigError(f"a confidence of {confidence} can't be meant; give one between 0 and 1, as 0.95.")
    other = distances[~same].sort().values
    allowed = allowed_pairs(far, len(other))
    tail = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.float64)
    ends = torch.cat([other[allowed : allowed + 1], other[_ranks(allowed, len(other), tail).to(other.device)]])
    return Threshold(*just_below(ends).tolist())


def val_at_far(
    distances: Float[Tensor, " pairs"],
    same: Bool[Tensor, " pairs"],
    far: float,
    splits: Shaped[Tensor, " pairs"] | None = None,
) -> Estimate:
    """VAL where at most ``far`` of the different-person pairs are accepted (section 4, the paper's main figure).

    Args:
        distances: of the two faces of each pair.
        same: whether both are of one person.
        far: the rate, for instance 1e-3.
        splits: which split each pair is of. The value is then the mean of the splits' own values, each at its own
            threshold, and the error that of the mean, as the paper reports it. Without, all pairs are one and the
            error is the bootstrap's, for the threshold as for the pairs that it accepts.

    Raises:
        ConfigError: a rate that isn't between 0 and 1, or fewer than two splits.
        DataError: too few different-person pairs (of a split) for so small a rate, or what ``roc`` refuses.
    """
    if splits is not None:
        parts = [splits == split for split in splits.unique()]
        return mean_of([val_at_far(distances[part], same[part], far).value for part in parts], "splits")
    require_pairs(distances, same)
    other, mates = distances[~same].sort().values, distances[same].sort().values
    allowed = allowed_pairs(far, len(other))
    levels = (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
    ends = torch.cat([other[allowed : allowed + 1], other[_ranks(allowed, len(other), levels).to(other.device)]])
    val = torch.searchsorted(mates, ends).double() / len(mates)  # a threshold lies just below the distance it ends at
    spread = val[1:].var(correction=0) + (val[1:] * (1 - val[1:])).mean() / len(mates)
    return Estimate(float(val[0]), math.sqrt(spread))


def allowed_pairs(far: float, pairs: int, kind: str = "pairs of different people") -> int:
    """How many of ``pairs`` may be accepted at a rate of ``far``: at least one.

    Raises:
        ConfigError: a rate that isn't between 0 and 1.
        DataError: fewer than one pair.
    """
    if not 0 < far < 1:
        raise ConfigError(f"a false accept rate of {far} can't be meant; give one between 0 and 1, as 0.001.")
    allowed = math.floor(far * pairs + 1e-6)  # 1e-3 of 1,000 pairs is one pair, whatever binary fractions say
    if allowed < 1:
        raise DataError(
            f"a rate of {far:g} can't be told from {pairs:,} {kind}: it takes {math.ceil(1 / far - 1e-6):,}; "
            "give more, or ask for a higher rate."
        )
    return min(allowed, pairs - 1)


def just_below(distances: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """The largest number below each, in their own precision."""
    return torch.nextafter(distances, distances.new_tensor(-torch.inf))


def mean_of(values: list[float], parts: str) -> Estimate:
    """Mean of the parts' values, and its error: their standard deviation over the root of their number.

    Raises:
        ConfigError: fewer than two.
    """
    if len(values) < 2:
        raise ConfigError(f"an error over {parts} needs at least two of them; give more, or none at all.")
    given = torch.tensor(values, dtype=torch.float64)
    return Estimate(float(given.mean()), float(given.std() / math.sqrt(len(values))))


def require_pairs(distances: Float[Tensor, " distances"], same: Bool[Tensor, " labels"]) -> None:
    """Refuse pairs that nothing can be measured on.

    Raises:
        ConfigError: more distances than labels, or fewer.
        DataError: a distance that isn't a number, or no pair of one of the two kinds.
    """
    if len(distances) != len(same):
        raise ConfigError(f"there are {len(distances)} distances, and {len(same)} pairs are labelled; give one each.")
    if distances.isnan().any():
        bad = int(distances.isnan().nonzero()[0])
        raise DataError(f"the distance of pair {bad} isn't a number; an embedding of it is NaN: check the network.")
    mates = int(same.sum())
    if mates == 0 or mates == len(same):
        raise DataError(
            f"there are {mates} pairs of one person and {len(same) - mates} of different people; give some of both."
        )


def require_finite(embeddings: Float[Tensor, "n d"]) -> None:
    """Refuse embeddings that no distance can be taken between.

    Raises:
        DataError: one that isn't finite.
    """
    finite = embeddings.isfinite().all(1)
    if not finite.all():
        bad = int((~finite).nonzero()[0])
        raise DataError(f"embedding {bad} isn't finite; check the network and the picture that it was made of.")


def _ranks(allowed: int, pairs: int, levels: Float64[Tensor, " levels"]) -> Int64[Tensor, " levels"]:
    """Where, at quantiles of it, the (allowed + 1)th of ``pairs`` drawn with replacement stands among those there are.

    Ranks of draws are uniform, so the (k+1)th smallest of n is the Beta(k+1, n-k) distribution's share of all ranks.
    """
    from scipy.special import betaincinv

    shares = torch.from_numpy(betaincinv(allowed + 1, pairs - allowed, levels.numpy()))
    return (shares * pairs).long().clamp(max=pairs - 1)
