"""The statistics of a batch are those of all its pairs; a collapse is told early, and only when there is one."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from triplets_naive import distances

from vitrail.errors import CollapseError, TrainingError
from vitrail.faces.statistics import CollapseWatch, TripletStatistics, distance_histograms, spread
from vitrail.faces.triplets import triplet_loss

ROWS, D = 23, 7
LABELS = torch.arange(ROWS) % 5


def some(rows: int = ROWS, seed: int = 0) -> Tensor:
    noise = torch.randn(rows, D, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return F.normalize(noise, dim=1)


def test_spread_is_that_of_all_pairs() -> None:
    embeddings = some()
    table = distances(embeddings)
    same = (LABELS[:, None] == LABELS) & ~torch.eye(ROWS, dtype=torch.bool)
    other = LABELS[:, None] != LABELS
    found = spread(embeddings, LABELS)
    expected = [table[same].mean(), table[other].mean(), embeddings.var(0, correction=0).sum()]
    torch.testing.assert_close(torch.stack(found), torch.stack(expected))
    torch.testing.assert_close(torch.stack(spread(embeddings.float(), LABELS)), torch.stack(expected))


@pytest.mark.parametrize(
    ("labels", "expected"), [([], [0, 0]), ([3], [0, 0]), ([3, 3], [1, 0]), ([3, 4], [0, 1])], ids=str
)
def test_spread_without_pairs_is_0(labels: list[int], expected: list[int]) -> None:
    found = spread(some(len(labels)), torch.tensor(labels, dtype=torch.int64))
    assert [int(value > 0) for value in found[:2]] == expected
    assert all(value.isfinite() for value in found)


def test_the_scalars_of_a_run() -> None:
    _, found = triplet_loss(some(), LABELS, margin=0.3)
    scalars = {name: float(value) for name, value in found.scalars().items()}
    assert list(scalars) == ["satisfied", "active", "skipped", "same_distance", "other_distance", "variance"]
    assert scalars["satisfied"] == pytest.approx(1 - int(found.violating) / int(found.triplets))
    assert 0 < scalars["satisfied"] < 1
    assert scalars["active"] == int(found.active) > 0
    assert scalars["skipped"] == pytest.approx(int(found.skipped) / int(found.pairs))
    assert 0 < scalars["skipped"] < 1


def test_a_network_that_learned_everything_has_satisfied_all() -> None:
    centres = torch.eye(D, dtype=torch.float64)[LABELS]
    _, found = triplet_loss(F.normalize(centres + 0.01 * some(), dim=1), LABELS)
    assert float(found.scalars()["satisfied"]) == 1
    assert float(found.same_distance) < 0.01
    assert float(found.other_distance) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("rows", [ROWS, 521])
def test_histograms_count_each_pair_once(rows: int) -> None:
    embeddings, labels = some(rows), torch.arange(rows) % 5
    found = distance_histograms(embeddings, labels, bins=11)
    upper = torch.ones(rows, rows, dtype=torch.bool).triu(1)
    same = labels[:, None] == labels
    table = distances(embeddings)
    for counts, kind in ((found.same, same & upper), (found.other, ~same & upper)):
        expected, edges = torch.histogram(table[kind], bins=11, range=(0.0, 4.0))
        assert counts.tolist() == expected.long().tolist()
        torch.testing.assert_close(found.edges, edges)


def test_histograms_keep_what_is_beyond_in_the_last_bin() -> None:
    found = distance_histograms(3 * some(), LABELS, bins=5, largest=0.5)
    assert int(found.same.sum() + found.other.sum()) == ROWS * (ROWS - 1) // 2
    assert int(found.other[-1]) > int(found.other[:-1].sum())
    empty = distance_histograms(some(0), LABELS[:0], bins=5)
    assert empty.same.tolist() == empty.other.tolist() == [0] * 5


def of_variance(variance: float) -> TripletStatistics:
    _, found = triplet_loss(some(), LABELS)
    return TripletStatistics(**{**vars(found), "variance": torch.tensor(variance, dtype=torch.float64)})


def test_a_collapse_is_told_after_so_many_steps_in_a_row() -> None:
    watch = CollapseWatch(0.2, "hardest", patience=5)
    for variance in [1e-6] * 4 + [0.3] + [1e-6] * 4:  # the fifth step is fine: the count begins anew
        watch.look(of_variance(variance))
    with pytest.raises(
        CollapseError,
        match=r"in the last 5 steps the mean squared distance of two was below 0\.002 \(now 2e-06\) and the margin is "
        r"0\.2; mine semi-hard triplets in place of hardest, and begin anew or from a checkpoint before this\.$",
    ) as raised:
        watch.look(of_variance(1e-6))
    assert isinstance(raised.value, TrainingError)


def test_where_mining_is_not_to_blame_other_things_are_advised() -> None:
    watch = CollapseWatch(0.2, "semi-hard", patience=1)
    with pytest.raises(CollapseError, match="use a lower learning rate, a warm-up, or more identities in a batch"):
        watch.look(of_variance(0.0))


def test_embeddings_far_below_the_margin_but_above_a_hundredth_are_no_collapse() -> None:
    watch = CollapseWatch(0.2, "semi-hard", patience=1)
    watch.look(of_variance(0.0011))
    assert watch.steps == 0
