"""Searches by a loop over people and faces; ranks and open-set errors by their definitions."""

import inspect
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vitrail.errors import ConfigError, DataError
from vitrail.faces import identification as module
from vitrail.faces.identification import Searches, cmc, fnir_at_fpir, rank_rate, search

D, PROBES, FACES, PEOPLE = 5, 67, 43, 17


def some(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Probes and gallery of 17 people, of whom those above 10 aren't enrolled; numbers with gaps."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(PEOPLE, D, generator=draw)

    def faces(people: Tensor) -> Tensor:
        return F.normalize(centres[people] + 0.8 * torch.randn(len(people), D, generator=draw), dim=1)

    probes = torch.randint(PEOPLE, (PROBES,), generator=draw)
    enrolled = torch.randint(11, (FACES,), generator=draw)
    return faces(probes), probes * 5 - 20, faces(enrolled), enrolled * 5 - 20


def naive(probes: Tensor, probe_people: Tensor, gallery: Tensor, gallery_people: Tensor) -> list[tuple[float, ...]]:
    """(nearest, mate, rank) of each probe, face by face."""
    found = []
    for probe, person in zip(probes, probe_people.tolist(), strict=True):
        near: dict[int, float] = {}
        for face, name in zip(gallery, gallery_people.tolist(), strict=True):
            near[name] = min(near.get(name, math.inf), float((probe - face).square().sum()))
        mate = near.get(person, math.inf)
        rank = sum(distance <= mate for distance in near.values()) if person in near else 0
        found.append((min(near.values()), mate, rank))
    return found


@pytest.mark.parametrize("block", [1, 100, 2**21])
def test_a_search_is_a_loop_over_faces(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    given = some()
    searches = search(*given)
    nearest, mate, rank = zip(*naive(*given), strict=True)
    torch.testing.assert_close(searches.nearest, torch.tensor(nearest))
    torch.testing.assert_close(searches.mate, torch.tensor(mate))
    assert searches.rank.tolist() == list(rank)
    assert searches.enrolled == len(given[3].unique()) == 11
    assert searches.mated.tolist() == [person <= 30 for person in given[1].tolist()]


def test_equally_near_people_count_against() -> None:
    """A network that puts every face in one place names nobody."""
    same_place = torch.ones(3, D)
    searches = search(same_place, torch.arange(3), same_place, torch.arange(3))
    assert searches.rank.tolist() == [3, 3, 3]
    assert rank_rate(searches).value == 0
    assert cmc(searches).tolist() == [0, 0, 1]


def test_ranks_and_their_curve() -> None:
    searches = search(*some())
    ranks = searches.rank[searches.mated].numpy()
    curve = cmc(searches)
    assert len(curve) == 11
    for rank in range(1, 12):
        assert curve[rank - 1] == pytest.approx((ranks <= rank).mean())
        assert rank_rate(searches, rank).value == pytest.approx((ranks <= rank).mean())
    assert 0.3 < curve[0] < curve[4] <= curve[-1] == 1


def test_the_error_of_a_rank_is_over_people() -> None:
    """Where all of a person's searches end alike, as many searches as one likes say no more than people do."""

    def of(each: int) -> Searches:
        people = torch.arange(40).repeat_interleave(each)
        rank = torch.where(people % 4 == 0, 2, 1)
        return Searches(people, torch.zeros(len(people)), torch.zeros(len(people)), rank, 40)

    once, often = rank_rate(of(1)), rank_rate(of(25))
    assert once.value == often.value == 0.75
    assert once.standard_error == pytest.approx(often.standard_error)
    assert once.standard_error == pytest.approx(math.sqrt(0.75 * 0.25 / 39))
    halves = torch.arange(40).repeat_interleave(2)
    even = rank_rate(Searches(halves, halves.float(), halves.float(), 1 + torch.arange(80) % 2, 40))
    assert even == (0.5, 0)  # people don't differ
    one = rank_rate(
        Searches(torch.zeros(5, dtype=torch.int64), torch.zeros(5), torch.zeros(5), torch.ones(5).long(), 2)
    )
    assert one.value == 1
    assert math.isnan(one.standard_error)


@pytest.mark.parametrize("rank", [1, 3, 11])
@pytest.mark.parametrize("fpir", [0.06, 0.2, 0.5])
def test_open_set_errors_by_their_definitions(fpir: float, rank: int) -> None:
    searches = search(*some())
    found = fnir_at_fpir(searches, fpir, rank, draws=50)
    strangers = searches.nearest[~searches.mated]
    limit = found.threshold.value
    assert float((strangers <= limit).double().mean()) <= fpir < float((strangers <= limit + 1e-6).double().mean())
    missed = [
        mate > limit or place > rank
        for mate, place in zip(searches.mate.tolist(), searches.rank.tolist(), strict=True)
        if place
    ]
    assert found.fnir.value == pytest.approx(np.mean(missed))
    assert 0 < found.fnir.standard_error < 0.3
    assert found.threshold.low <= limit <= found.threshold.high
    assert (found.fpir, found.rank, found.enrolled) == (fpir, rank, 11)


def test_a_person_beyond_the_rank_is_missed_at_any_threshold() -> None:
    rank = torch.tensor([2, 1, 0, 0, 0])
    searches = Searches(
        torch.arange(5), torch.tensor([0.1, 0.1, 0.9, 0.8, 0.7]), torch.tensor([0.2, 0.1, 9, 9, 9]), rank, 3
    )
    assert fnir_at_fpir(searches, 0.7, 1).fnir.value == 0.5
    assert fnir_at_fpir(searches, 0.7, 2).fnir.value == 0


def test_searches_that_tell_nothing_are_refused() -> None:
    probes, people, gallery, gallery_people = some()
    strangers = search(probes, people + 1000, gallery, gallery_people)
    for measure in (rank_rate, cmc, lambda searches: fnir_at_fpir(searches, 0.5)):
        with pytest.raises(DataError, match="no probe's person is enrolled; search for at least one who is"):
            measure(strangers)
    searches = search(probes, people, gallery, gallery_people)
    with pytest.raises(DataError, match=r"a rate of 0\.001 can't be told from \d+ searches for people who aren't enr"):
        fnir_at_fpir(searches, 0.001)
    with pytest.raises(ConfigError, match="a rank of 0 can't be meant; the nearest person has rank 1"):
        rank_rate(searches, 0)
    with pytest.raises(DataError, match="there are no enrolled faces; give at least one"):
        search(probes, people, gallery[:0], gallery_people[:0])
    with pytest.raises(DataError, match="there are no probes; give at least one"):
        search(probes[:0], people[:0], gallery, gallery_people)
    with pytest.raises(ConfigError, match="there are 67 probes of 66 people; name one person a face"):
        inspect.unwrap(search)(probes, people[1:], gallery, gallery_people)
    with pytest.raises(DataError, match="embedding 0 isn't finite"):
        search(probes * torch.nan, people, gallery, gallery_people)
