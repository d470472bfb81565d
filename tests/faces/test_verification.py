"""Rates of accepted pairs: naive loops, scikit-learn, and bootstraps that really draw."""

import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor

from vitrail.errors import ConfigError, DataError
from vitrail.faces.verification import auc, eer, roc, threshold_for_far, val_at_far

MATES, OTHERS = 211, 1009


def pairs(seed: int = 0, mates: int = MATES, others: int = OTHERS, steps: int = 0) -> tuple[Tensor, Tensor]:
    """Distances that overlap, shuffled; with ``steps`` they take few values, so that there are ties everywhere."""
    draw = torch.Generator().manual_seed(seed)
    distances = torch.randn(mates + others, generator=draw)
    same = torch.arange(mates + others) < mates
    distances = distances + 2 + 1.5 * (~same)
    if steps:
        distances = (distances * steps).round() / steps
    order = torch.randperm(len(same), generator=draw)
    return distances[order], same[order]


def naive_val_at_far(distances: Tensor, same: Tensor, far: float) -> float:
    """The best VAL of all thresholds whose FAR is not above ``far``."""
    best = 0.0
    for threshold in [-math.inf, *distances.tolist()]:
        accepted = distances <= threshold
        # A count is compared, as 0.007 of 1000 pairs is 7 of them.
        if int(accepted[~same].sum()) <= far * int((~same).sum()) + 1e-6:
            best = max(best, float(accepted[same].double().mean()))
    return best


@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize("far", [0.0011, 0.01, 0.1, 0.5, 0.999])
def test_val_at_far_is_the_best_of_all_thresholds(far: float, steps: int) -> None:
    distances, same = pairs(steps=steps)
    assert val_at_far(distances, same, far).value == pytest.approx(naive_val_at_far(distances, same, far), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    near=st.lists(st.integers(0, 9), min_size=1, max_size=13),
    far_off=st.lists(st.integers(0, 9), min_size=2, max_size=19),
    far=st.floats(0.05, 0.95),
)
def test_any_small_set_of_pairs(near: list[int], far_off: list[int], far: float) -> None:
    distances = torch.tensor(near + far_off, dtype=torch.float32)
    same = torch.arange(len(distances)) < len(near)
    if far * len(far_off) + 1e-6 < 1:
        with pytest.raises(DataError, match="can't be told from"):
            val_at_far(distances, same, far)
        return
    found = val_at_far(distances, same, far)
    assert found.value == pytest.approx(naive_val_at_far(distances, same, far), abs=1e-12)
    assert 0 <= found.standard_error <= 0.5 + 1e-9
    limit = threshold_for_far(distances, same, far)
    assert limit.low <= limit.value <= limit.high
    assert float((distances[same] <= limit.value).double().mean()) == pytest.approx(found.value, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_threshold_accepts_as_many_as_it_may_and_no_more(dtype: torch.dtype) -> None:
    distances, same = pairs()
    distances = distances.to(dtype)
    limit = threshold_for_far(distances, same, 0.01).value
    assert int((distances[~same] <= limit).sum()) == 10
    # The next larger number of this precision is a distance that must not be accepted.
    assert (
        int(
            (
                distances[~same]
                <= float(torch.nextafter(torch.tensor(limit, dtype=dtype), torch.tensor(9.0).to(dtype)))
            ).sum()
        )
        == 11
    )
    # Also for who compares in double precision.
    assert int((distances[~same].double() <= limit).sum()) == 10


def test_the_curve_is_scikit_learns() -> None:
    for steps in (0, 3):
        distances, same = pairs(steps=steps)
        curve = roc(distances, same)
        far, val, thresholds = roc_curve(same.numpy(), -distances.numpy(), drop_intermediate=False)
        np.testing.assert_allclose(curve.far.numpy(), far, atol=1e-12)
        np.testing.assert_allclose(curve.val.numpy(), val, atol=1e-12)
        np.testing.assert_array_equal(curve.thresholds.numpy(), -thresholds)
        assert auc(distances, same) == pytest.approx(roc_auc_score(same.numpy(), -distances.numpy()), abs=1e-12)


def test_the_area_is_a_count_of_pairs_of_pairs() -> None:
    distances, same = pairs(mates=23, others=31, steps=2)
    mine, other = distances[same][:, None], distances[~same]
    assert auc(distances, same) == pytest.approx(float((mine < other).double().add((mine == other) * 0.5).mean()))


def test_equal_error_rate_is_where_both_errors_meet() -> None:
    distances, same = pairs(mates=1000, others=1000)
    rate = eer(distances, same)
    limit = threshold_for_far(distances, same, rate).value
    assert float((distances[same] > limit).double().mean()) == pytest.approx(rate, abs=0.002)
    # Two unit normals 1.5 apart: Phi(-0.75).
    assert rate == pytest.approx(0.2266, abs=0.03)


def test_equal_error_rate_between_two_points_is_on_their_line() -> None:
    # Accepting the middle distance takes FAR from 0 to 1/2 and 1 - VAL from 1/2 to 0: they meet half-way, at 1/4.
    distances, same = torch.tensor([1.0, 2.0, 2.0, 3.0]), torch.tensor([True, True, False, False])
    assert eer(distances, same) == pytest.approx(0.25)


def test_what_is_perfect_and_what_knows_nothing() -> None:
    same = torch.arange(40) < 17
    perfect, nothing = (~same).float(), torch.ones(40)
    assert auc(perfect, same) == 1
    assert eer(perfect, same) == 0
    assert val_at_far(perfect, same, 0.1) == (1, 0)
    assert auc(nothing, same) == 0.5
    assert eer(nothing, same) == 0.5
    assert val_at_far(nothing, same, 0.1) == (0, 0)


def test_the_error_is_that_of_a_bootstrap_that_draws() -> None:
    distances, same = pairs()
    mates, others = distances[same].numpy(), distances[~same].numpy()
    draw = np.random.default_rng(0)
    drawn, limits = [], []
    for _ in range(4000):
        allowed = np.sort(draw.choice(others, OTHERS))[50]  # 0.05 of 1009 pairs is 50
        drawn.append((draw.choice(mates, MATES) < allowed).mean())
        limits.append(allowed)
    found = val_at_far(distances, same, 0.05)
    assert found.standard_error == pytest.approx(np.std(drawn), rel=0.05)
    limit = threshold_for_far(distances, same, 0.05)
    ranks = np.searchsorted(np.sort(others), [limit.low, limit.high])
    # Of 4,000 draws, the ends of the middle 95% are known to about one rank.
    assert ranks == pytest.approx(np.searchsorted(np.sort(others), np.quantile(limits, [0.025, 0.975])), abs=1.5)


def test_intervals_of_thresholds_hold_what_they_say() -> None:
    """On fresh pairs each time, 80% intervals hold the true quantile about 80 times in 100."""
    true = torch.distributions.Normal(3.5, 1.0).icdf(torch.tensor(0.02)).item()
    held = 0
    for seed in range(200):
        limit = threshold_for_far(*pairs(seed, mates=3), 0.02, confidence=0.8)
        held += limit.low <= true <= limit.high
    assert 140 <= held <= 180  # 160 are expected, with a standard deviation of 5.7


def test_splits_have_thresholds_of_their_own() -> None:
    distances, same = pairs()
    splits = torch.arange(len(same)) % 5
    distances = distances + splits * 100  # no threshold fits two of them
    values = [val_at_far(distances[splits == k], same[splits == k], 0.05).value for k in range(5)]
    found = val_at_far(distances, same, 0.05, splits)
    assert found.value == pytest.approx(np.mean(values))
    assert found.standard_error == pytest.approx(np.std(values, ddof=1) / math.sqrt(5))


def test_rates_that_so_few_pairs_cannot_tell_are_refused() -> None:
    distances, same = pairs(mates=7, others=999)
    told = r"a rate of 0\.001 can't be told from 999 pairs of different people: it takes 1,000; give more, or ask"
    with pytest.raises(DataError, match=told):
        val_at_far(distances, same, 0.001)
    with pytest.raises(DataError, match=told):
        threshold_for_far(distances, same, 0.001)
    distances, same = pairs(mates=7, others=1000)
    assert val_at_far(distances, same, 0.001).value >= 0
    with pytest.raises(DataError, match=r"a rate of 0\.001 can't be told from 500 pairs"):
        val_at_far(distances, same, 0.001, torch.where(same, same.cumsum(0) % 2, (~same).cumsum(0) > 500))


@pytest.mark.parametrize("far", [0.0, 1.0, -0.1, float("nan")])
def test_rates_that_are_none_are_refused(far: float) -> None:
    with pytest.raises(ConfigError, match=r"can't be meant; give one between 0 and 1, as 0\.001"):
        val_at_far(*pairs(), far)


def test_pairs_of_one_kind_are_refused() -> None:
    distances = torch.rand(7)
    with pytest.raises(DataError, match="there are 7 pairs of one person and 0 of different people; give some of both"):
        roc(distances, torch.ones(7, dtype=torch.bool))
    with pytest.raises(DataError, match="there are 0 pairs of one person and 0 of different people"):
        val_at_far(distances[:0], torch.ones(0, dtype=torch.bool), 0.1)


def test_distances_that_are_no_numbers_are_refused() -> None:
    distances, same = pairs()
    distances[13] = torch.nan
    for measure in (auc, eer, lambda d, s: val_at_far(d, s, 0.1), lambda d, s: threshold_for_far(d, s, 0.1)):
        with pytest.raises(DataError, match="the distance of pair 13 isn't a number"):
            measure(distances, same)


def test_each_distance_has_its_label() -> None:
    distances, same = pairs()
    with pytest.raises(ConfigError, match="there are 1220 distances, and 1219 pairs are labelled; give one each"):
        inspect.unwrap(roc)(distances, same[1:])


def test_one_split_tells_no_error() -> None:
    distances, same = pairs()
    with pytest.raises(ConfigError, match="an error over splits needs at least two of them"):
        val_at_far(distances, same, 0.1, torch.zeros(len(same)))
