"""All pairs in blocks are all pairs at once; errors over people are those of people written out as often as drawn."""

import inspect
import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vitrail.errors import ConfigError, DataError
from vitrail.faces import bootstrap
from vitrail.faces import pairs as module
from vitrail.faces.bootstrap import Comparisons, at_far
from vitrail.faces.mining import squared_distances
from vitrail.faces.pairs import AllPairs, compare_all
from vitrail.faces.verification import auc, eer, val_at_far

D = 5
FACES = [1, 7, 2, 1, 5, 3, 11, 1, 2, 13, 4, 3, 6]  # of each of 13 people
PAIRS = sum(FACES) ** 2 - sum(count**2 for count in FACES)  # of different people, both ways


def some(seed: int = 0, noise: float = 0.6) -> tuple[Tensor, Tensor]:
    """Embeddings and labels, shuffled; labels aren't numbered from 0."""
    draw = torch.Generator().manual_seed(seed)
    people = torch.repeat_interleave(torch.arange(len(FACES)), torch.tensor(FACES))
    centres = torch.randn(len(FACES), D, generator=draw)
    faces = F.normalize(centres[people] + noise * torch.randn(len(people), D, generator=draw), dim=1)
    order = torch.randperm(len(people), generator=draw)
    return faces[order], (people * 3 + 100)[order]


def at_once(faces: Tensor, labels: Tensor, others: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Every pair by itself: distances, and whether they are of one person."""
    count = range(len(faces))
    chosen = itertools.combinations(count, 2) if others is None else itertools.permutations(count, 2)
    first, second = torch.tensor(list(chosen)).T
    table = squared_distances(faces, faces if others is None else others)
    return table[first, second], labels[first] == labels[second]


@pytest.mark.parametrize("block", [1, 100, 1000, 2**21])
@pytest.mark.parametrize("mixed", [False, True])
def test_blocks_give_what_all_pairs_at_once_give(block: int, mixed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    faces, labels = some()
    others = some(1)[0] * 0.3 + faces if mixed else None
    distances, same = at_once(faces, labels, others)
    found = compare_all(faces, labels, others)
    assert found.different_pairs == int((~same).sum()) == (PAIRS if mixed else PAIRS // 2)
    torch.testing.assert_close(found.same.distances, distances[same].sort().values)
    torch.testing.assert_close(found.closest.distances, distances[~same].sort().values)
    for far in (0.01, 0.1, 0.6):
        assert found.at_far(far, draws=3).val.value == pytest.approx(val_at_far(distances, same, far).value)
    assert found.roc().area() == pytest.approx(auc(distances, same), abs=1e-6)
    assert found.roc().equal_error_rate() == pytest.approx(eer(distances, same), abs=1e-3)


def test_the_people_of_each_pair_are_theirs() -> None:
    faces, labels = some()
    found = compare_all(faces, labels)
    names = labels.unique()
    table = squared_distances(faces, faces)
    for distance, (one, other) in zip(found.closest.distances, names[found.closest.people], strict=True):
        assert (table[labels == one][:, labels == other] - distance).abs().min() < 1e-6
        assert one != other
    for distance, (one,) in zip(found.same.distances, names[found.same.people], strict=True):
        assert (table[labels == one][:, labels == one] - distance).abs().min() < 1e-6


def test_ties_are_counted_as_they_are() -> None:
    """On a grid, distances are few and exact: the curve has one step for each, and its area counts ties half."""
    draw = torch.Generator().manual_seed(0)
    faces = torch.randint(3, (41, 2), generator=draw).float() / 2
    labels = torch.randint(7, (41,), generator=draw)
    distances, same = at_once(faces, labels)
    found = compare_all(faces, labels)
    curve = found.roc()
    assert curve.area() == pytest.approx(auc(distances, same), abs=1e-12)
    assert curve.equal_error_rate() == pytest.approx(eer(distances, same), abs=1e-12)
    for values in curve:
        assert (values.diff() >= 0).all()
    for threshold, far, val in zip(*curve, strict=True):
        accepted = distances <= threshold
        assert far == pytest.approx(float(accepted[~same].double().mean()))
        assert val == pytest.approx(float(accepted[same].double().mean()))


@pytest.mark.parametrize("keep", [1, 37, 600])
def test_the_closest_are_kept(keep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 200)
    faces, labels = some()
    everything, kept = compare_all(faces, labels), compare_all(faces, labels, keep=keep)
    torch.testing.assert_close(kept.closest.distances, everything.closest.distances[:keep])
    assert torch.equal(kept.closest.people.sort(1).values, everything.closest.people[:keep].sort(1).values)
    assert torch.equal(kept.as_close, everything.as_close)


def written_out(faces: Tensor, labels: Tensor, drawn: list[int], far: float) -> float | None:
    """VAL@FAR of the people drawn, each as often as drawn, pair by pair.

    Two copies of one person are no pair: neither of one person nor of two.
    """
    mates, others = [], []
    groups = [faces[labels == person] for person in drawn]
    for place, group in enumerate(groups):
        table = squared_distances(group, group)
        mates += [float(table[i, j]) for i, j in itertools.combinations(range(len(group)), 2)]
        for later in range(place):
            if drawn[later] != drawn[place]:
                others += squared_distances(group, groups[later]).flatten().tolist()
    if not mates or not others:
        return None
    end = sorted(others)[math.floor(far * len(others) + 1e-6)]
    return sum(mate < end for mate in mates) / len(mates)


@pytest.mark.parametrize("spare", [0, 1000])
def test_a_draw_of_people_is_their_faces_written_out(spare: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few comparisons are looked at before it takes more."""
    monkeypatch.setattr(bootstrap, "SPARE", spare)
    faces, labels = some()
    names = labels.unique().tolist()
    draws, far = 23, 0.05
    generator = torch.Generator().manual_seed(7)
    expected = []
    for _ in range(draws):
        drawn = torch.randint(len(names), (len(names),), generator=generator).tolist()
        expected.append(written_out(faces, labels, [names[person] for person in drawn], far))
    found = compare_all(faces, labels).at_far(far, draws, seed=7)
    np.testing.assert_allclose(found.draws.numpy(), expected, atol=1e-12)
    assert found.val.standard_error == pytest.approx(np.std(expected, ddof=1))
    assert found.interval() == pytest.approx(np.quantile(expected, [0.025, 0.975]))


def test_the_error_over_people_is_that_of_fresh_people() -> None:
    """Measured on 60 fresh sets, VAL strays as much as one set's bootstrap says."""

    def fresh(seed: int) -> AllPairs:
        draw = torch.Generator().manual_seed(seed)
        people = torch.arange(60).repeat_interleave(5)
        # Some people are hard: their faces vary more. Pairs know nothing of that, people do.
        noise = (0.2 + 0.6 * torch.rand(60, 1, generator=draw))[people] * torch.randn(300, 11, generator=draw)
        return compare_all(F.normalize(torch.randn(60, 11, generator=draw)[people] + noise, dim=1), people)

    values = [fresh(seed).at_far(0.01, draws=2).val.value for seed in range(60)]
    said = np.mean([fresh(seed).at_far(0.01, draws=200).val.standard_error for seed in range(5)])
    assert 0.65 < said / np.std(values, ddof=1) < 1.5


def test_draws_of_one_seed_are_of_the_same_people() -> None:
    """So that two networks can be compared on them: the difference strays less than either."""
    faces, labels = some(noise=0.9)
    near = faces + 0.02 * torch.randn(faces.shape, generator=torch.Generator().manual_seed(5))
    one, other = (compare_all(given, labels).at_far(0.05, 300) for given in (faces, near))
    assert (one.draws - other.draws).std() < 0.5 * one.draws.std()
    assert not torch.equal(one.draws, compare_all(faces, labels).at_far(0.05, 300, seed=1).draws)


def test_rates_that_cannot_be_told_or_were_not_kept_are_refused() -> None:
    faces, labels = some()
    found = compare_all(faces, labels, keep=50)
    with pytest.raises(DataError, match=rf"a rate of 0\.0001 can't be told from {PAIRS // 2:,} pairs of different"):
        found.at_far(0.0001)
    with pytest.raises(DataError, match=r"a rate of 0\.5 lies beyond the closest 50 of .* that were kept; keep more"):
        found.at_far(0.5)
    # The set itself is within what was kept, but not every draw of its people.
    with pytest.raises(DataError, match="lies beyond the closest 50"):
        found.at_far(49 / (PAIRS // 2))
    with pytest.raises(ConfigError, match="keeping 0 pairs leaves nothing"):
        compare_all(faces, labels, keep=0)


@pytest.mark.parametrize("labels", [[1, 1, 1], [1, 2, 3], [4], []])
def test_sets_without_pairs_of_both_kinds_are_refused(labels: list[int]) -> None:
    faces = torch.rand(len(labels), D)
    with pytest.raises(DataError, match="give at least two people and two faces of one"):
        compare_all(faces, torch.tensor(labels, dtype=torch.int64))


def test_faces_and_what_goes_with_them_are_as_many() -> None:
    faces, labels = some()
    with pytest.raises(ConfigError, match="there are 59 embeddings and 58 labels; give one of each a face"):
        inspect.unwrap(compare_all)(faces, labels[1:])
    with pytest.raises(ConfigError, match="59 embeddings of one network and 58 of another; embed the same faces"):
        inspect.unwrap(compare_all)(faces, labels, faces[1:])


def test_embeddings_that_are_not_finite_are_refused() -> None:
    faces, labels = some()
    broken = faces.clone()
    broken[17, 2] = torch.inf
    for given in ((broken, labels), (faces, labels, broken)):
        with pytest.raises(DataError, match="embedding 17 isn't finite"):
            compare_all(*given)


def test_draws_that_hold_nothing_say_nothing() -> None:
    """With two people, half of the draws have one of them alone; with one draw there is no error."""
    faces, labels = torch.rand(6, D, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 0, 1, 1, 1])
    found = compare_all(faces, labels).at_far(0.5, draws=100)
    assert 30 < len(found.draws) < 70
    with pytest.raises(DataError, match="1 draws of 2 people tell no error; give more people or more draws"):
        compare_all(faces, labels).at_far(0.5, draws=1)


def test_comparisons_of_one_person_weigh_once() -> None:
    """As searches do, where a comparison is a probe's: not every person's weight is squared."""
    same = Comparisons(torch.tensor([0.1, 0.2, 0.9]), torch.tensor([[0], [1], [2]]))
    other = Comparisons(torch.tensor([0.3, 0.5, 0.6, 1.0]), torch.tensor([[0], [1], [2], [2]]))

    def weigh(weights: Tensor) -> float:
        return float(weights[other.people[:, 0]].sum())

    found = at_far(0.25, same, other, weigh, people=3, draws=50, seed=0)
    generator = torch.Generator().manual_seed(0)
    expected = []
    for _ in range(50):
        drawn = torch.randint(3, (3,), generator=generator).tolist()
        others = sorted(float(d) for d, p in zip(*other, strict=True) for k in drawn if k == p)
        mates = [float(d) for d, p in zip(*same, strict=True) for k in drawn if k == p]
        expected.append(np.mean([mate < others[math.floor(0.25 * len(others) + 1e-6)] for mate in mates]))
    np.testing.assert_allclose(found.draws.numpy(), expected)
    assert found.val.value == pytest.approx(2 / 3)
