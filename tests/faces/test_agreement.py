"""Agreement of clusters with people: naive loops, and what the papers' words say about the extremes."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import pair_confusion_matrix
from torch import Tensor

from vitrail.errors import ConfigError, DataError
from vitrail.faces.agreement import bcubed, nmi, pairwise_f

few = st.lists(st.tuples(st.integers(-2, 3), st.integers(0, 4)), min_size=1, max_size=23)


def naive_bcubed(clusters: list[int], people: list[int]) -> tuple[float, float]:
    faces = range(len(people))
    precisions, recalls = [], []
    for i in faces:
        mine = [j for j in faces if clusters[j] == clusters[i]]
        own = [j for j in faces if people[j] == people[i]]
        right = len(set(mine) & set(own))
        precisions.append(right / len(mine))
        recalls.append(right / len(own))
    return sum(precisions) / len(people), sum(recalls) / len(people)


@settings(max_examples=100, deadline=None)
@given(few)
def test_every_measure_is_its_loop(faces: list[tuple[int, int]]) -> None:
    clusters, people = ([face[k] for face in faces] for k in (0, 1))
    given_clusters, given_people = torch.tensor(clusters), torch.tensor(people)
    precision, recall = naive_bcubed(clusters, people)
    found = bcubed(given_clusters, given_people)
    assert found[:2] == pytest.approx((precision, recall))
    assert found.f == pytest.approx(2 * precision * recall / (precision + recall))
    (_, wrong), (missed, right) = pair_confusion_matrix(people, clusters)
    pairwise = pairwise_f(given_clusters, given_people)
    assert pairwise.precision == pytest.approx(right / (right + wrong) if right + wrong else 1)
    assert pairwise.recall == pytest.approx(right / (right + missed) if right + missed else 1)
    assert 0 <= nmi(given_clusters, given_people) <= 1 + 1e-12


PEOPLE = torch.arange(7).repeat_interleave(5)


def test_names_of_clusters_mean_nothing() -> None:
    for measure in (bcubed, pairwise_f):
        assert measure(PEOPLE * 3 - 100, PEOPLE) == (1, 1, 1)
        assert measure(PEOPLE * 3 - 100, PEOPLE + 5) == (1, 1, 1)
    assert nmi(PEOPLE * 3 - 100, PEOPLE) == pytest.approx(1)


@pytest.mark.parametrize(
    ("clusters", "bcubed_is", "pairwise_is", "nmi_is"),
    [
        (torch.zeros(35, dtype=torch.int64), (1 / 7, 1), (4 / 34, 1), 0),
        (torch.arange(35), (1, 1 / 5), (1, 0), None),
        (torch.arange(5).repeat(7), (1 / 7, 1 / 5), (0, 0), 0),
    ],
)
def test_all_in_one_each_alone_and_all_mixed(
    clusters: Tensor, bcubed_is: tuple[float, float], pairwise_is: tuple[float, float], nmi_is: float | None
) -> None:
    assert bcubed(clusters, PEOPLE)[:2] == pytest.approx(bcubed_is)
    assert pairwise_f(clusters, PEOPLE)[:2] == pytest.approx(pairwise_is)
    if nmi_is is not None:
        assert nmi(clusters, PEOPLE) == pytest.approx(nmi_is, abs=1e-9)


def test_no_pair_found_is_an_f_of_zero() -> None:
    assert pairwise_f(torch.arange(35), PEOPLE).f == 0
    assert pairwise_f(torch.arange(3), torch.arange(3)) == (1, 1, 1)  # nothing to be found, nothing claimed


def test_faces_that_are_not_there_or_not_the_same_are_refused() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    for measure in (bcubed, pairwise_f, nmi):
        with pytest.raises(DataError, match="there is no face to measure clusters on; give at least one"):
            measure(none, none)
        with pytest.raises(ConfigError, match="clusters of 34 faces and people of 35; give the same faces"):
            inspect.unwrap(measure)(PEOPLE[1:], PEOPLE)
