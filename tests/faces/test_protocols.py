"""LFW's accuracy: thresholds from the other folds, by a loop over all of them; and on the official lists of pairs."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from test_verification import pairs
from torch import Tensor

from vitrail.data.lfw import read_pairs
from vitrail.errors import ConfigError
from vitrail.faces.protocols import accuracy, best_threshold, cut_folds, lfw_accuracy


def most_right(distances: Tensor, same: Tensor) -> float:
    """The best accuracy of all thresholds."""
    limits = [-math.inf, *distances.tolist()]
    return max(float(((distances <= limit) == same).double().mean()) for limit in limits)


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_is_better_than_the_best(seed: int, steps: int) -> None:
    distances, same = pairs(seed, mates=31, others=43, steps=steps)
    limit = best_threshold(distances, same)
    assert accuracy(distances, same, limit).value == pytest.approx(most_right(distances, same))
    assert limit not in distances  # it lies between


@pytest.mark.parametrize(
    ("near", "far", "limit"),
    [([1.0, 2.0], [4.0, 5.0], 3.0), ([4.0], [1.0, 2.0, 3.0], None), ([1.0, 2.0, 3.0], [0.5], None)],
)
def test_thresholds_at_the_ends(near: list[float], far: list[float], limit: float | None) -> None:
    distances = torch.tensor(near + far)
    same = torch.arange(len(distances)) < len(near)
    found = best_threshold(distances, same)
    assert accuracy(distances, same, found).value == pytest.approx(most_right(distances, same))
    assert limit is None or found == limit


def test_neighbouring_numbers_have_a_threshold_between_them() -> None:
    low = torch.tensor(1.0)
    distances = torch.stack([low, torch.nextafter(low, torch.tensor(2.0))])
    same = torch.tensor([True, False])
    assert accuracy(distances, same, best_threshold(distances, same)).value == 1


def test_each_fold_is_judged_by_the_others() -> None:
    distances, same = pairs(mates=210, others=210)
    folds = torch.arange(420) % 7 * 11
    shares = []
    for fold in range(0, 77, 11):
        held = folds == fold
        limit = best_threshold(distances[~held], same[~held])
        right = sum((float(d) <= limit) == bool(s) for d, s in zip(distances[held], same[held], strict=True))
        shares.append(right / int(held.sum()))
    found = lfw_accuracy(distances, same, folds)
    assert found.value == pytest.approx(np.mean(shares))
    assert found.standard_error == pytest.approx(np.std(shares, ddof=1) / math.sqrt(7))
    assert 0.70 < found.value < 0.82  # two unit normals 1.5 apart: Phi(0.75) = 0.773


def test_a_fold_does_not_choose_its_own_threshold() -> None:
    """One fold's distances are shifted: only who looks at them could judge it well."""
    same = torch.arange(40) % 2 == 0
    distances = torch.where(same, 0.0, 1.0)
    folds = torch.arange(40) // 10
    distances[folds == 3] += 10
    assert lfw_accuracy(distances, same, folds).value == pytest.approx((1 + 1 + 1 + 0.5) / 4)


def test_folds_that_are_cut_hold_neighbours_and_as_many_of_each_kind() -> None:
    same = torch.arange(103) < 41
    folds = cut_folds(same)
    for kind in (same, ~same):
        counts = folds[kind].bincount()
        assert len(counts) == 10
        assert counts.max() - counts.min() <= 1
        assert (folds[kind].diff() >= 0).all()
    distances = torch.rand(103)
    assert lfw_accuracy(distances, same) == lfw_accuracy(distances, same, folds)


def test_accuracy_has_the_binomial_error() -> None:
    distances, same = pairs()
    found = accuracy(distances, same, 2.7)
    right = [(float(d) <= 2.7) == bool(s) for d, s in zip(distances, same, strict=True)]
    assert found.value == pytest.approx(np.mean(right))
    assert found.standard_error == pytest.approx(np.std(right) / math.sqrt(len(right)))


def test_one_fold_tells_nothing() -> None:
    distances, same = pairs()
    with pytest.raises(ConfigError, match="an error over folds needs at least two of them"):
        lfw_accuracy(distances, same, torch.zeros(len(same)))


@pytest.mark.data
def test_on_the_official_lists(real_data: Path) -> None:
    """View 2 has ten folds of 300 and 300 pairs; a distance that is right in 9 of 10 pairs gets 90% in either view."""
    for name, count in (("pairs.txt", 6000), ("pairsDevTest.txt", 1000)):
        listed = read_pairs(real_data / "faces" / "lfw_protocol" / name)
        same = torch.tensor([a[0] == b[0] for a, b in zip(listed.first, listed.second, strict=True)])
        folds = torch.tensor(listed.fold)
        assert len(same) == count
        wrong = torch.rand(count, generator=torch.Generator().manual_seed(0)) < 0.1
        distances = (same == wrong).float() + torch.rand(count, generator=torch.Generator().manual_seed(1)) / 2
        found = lfw_accuracy(distances, same, folds if len(folds.unique()) > 1 else None)
        assert found.value == pytest.approx(1 - float(wrong.double().mean()), abs=0.01)
        assert 0.001 < found.standard_error < 0.02
