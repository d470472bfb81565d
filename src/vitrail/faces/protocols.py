"""How often a threshold is right, by the protocols of LFW (Huang et al. 2007; FaceNet, section 5.6).

View 2 is ten folds of 300 same-person and 300 different-person pairs: a fold's accuracy is that of the threshold that
is best on the nine others, and the mean of the ten is reported with its error. Who trains on LFW has seen View 2's
people, and reports on View 1's test pairs (500 and 500), which come in one piece.
"""

import math

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from vitrail.faces.verification import Estimate, just_below, mean_of, require_pairs, roc

FOLDS = 10


def accuracy(distances: Float[Tensor, " pairs"], same: Bool[Tensor, " pairs"], threshold: float) -> Estimate:
    """Share of pairs that a threshold puts where they belong, with the binomial error.

    LFW's View 1, where the threshold is from the development training pairs: ``best_threshold`` of those.

    Raises:
        DataError: what ``roc`` refuses.
    """
    require_pairs(distances, same)
    value = _right(distances, same, threshold)
    return Estimate(value, math.sqrt(value * (1 - value) / len(same)))


def best_threshold(distances: Float[Tensor, " pairs"], same: Bool[Tensor, " pairs"]) -> float:
    """A threshold that puts the most pairs where they belong: of equally good ones the middle one.

    Raises:
        DataError: what ``roc`` refuses.
    """
    curve = roc(distances, same)
    mates = int(same.sum())
    correct = curve.val * mates + (1 - curve.far) * (len(same) - mates)
    best = (correct.round() == correct.round().max()).nonzero().squeeze(1)
    place = int(best[len(best) // 2])
    if place == 0:
        return float(just_below(curve.thresholds[1]))
    if place == len(curve.thresholds) - 1:
        return float(curve.thresholds[place])
    low, high = curve.thresholds[place], curve.thresholds[place + 1]
    middle = low + (high - low) / 2
    return float(middle if middle < high else low)


def lfw_accuracy(
    distances: Float[Tensor, " pairs"], same: Bool[Tensor, " pairs"], folds: Shaped[Tensor, " pairs"] | None = None
) -> Estimate:
    """Accuracy by LFW's protocol: for each fold, that of the threshold which is best on all others; mean and its error.

    Args:
        distances: of the two faces of each pair.
        same: whether both are of one person.
        folds: View 2: the fold of each pair, as ``pairs.txt`` lists them. Without them, for View 1, ten even ones are
            cut from the pairs as they stand (``cut_folds``). View 1's threshold may also be that of its training pairs,
            by ``accuracy(distances, same, best_threshold(...))``; but a network that was trained on those very people
            has them closer together than others, and a threshold from them is too strict.

    Raises:
        ConfigError: fewer than two folds.
        DataError: what ``roc`` refuses.
    """
    require_pairs(distances, same)
    folds = cut_folds(same) if folds is None else folds
    shares = []
    for fold in folds.unique():
        held = folds == fold
        if held.all():
            break
        shares.append(_right(distances[held], same[held], best_threshold(distances[~held], same[~held])))
    return mean_of(shares, "folds")


def cut_folds(same: Bool[Tensor, " pairs"], count: int = FOLDS) -> Int64[Tensor, " pairs"]:
    """Folds of neighbouring pairs, each with as many of either kind as the others.

    Lists of pairs go by name, so that a person's pairs stay in one fold, but for those where two folds meet.
    """
    place = torch.where(same, same.cumsum(0), (~same).cumsum(0)) - 1
    return place * count // torch.where(same, same.sum(), (~same).sum())


def _right(distances: Float[Tensor, " pairs"], same: Bool[Tensor, " pairs"], threshold: float) -> float:
    return float(((distances <= threshold) == same).double().mean())
