"""Clusters are scipy's of average linkage; with forbidden pairs, those of joining the two nearest one at a time."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from torch import Tensor
from torch.nn import functional as F

from vitrail.errors import ConfigError, DataError
from vitrail.faces import linkage as module
from vitrail.faces.agreement import bcubed
from vitrail.faces.clustering import agglomerate, choose_threshold, cluster, different_within
from vitrail.faces.linkage import Pairs

D = 7


def some(faces: int = 151, people: int = 13, noise: float = 0.4, seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(people, (faces,), generator=draw)
    centres = torch.randn(people, D, generator=draw)
    return F.normalize(centres[labels] + noise * torch.randn(faces, D, generator=draw), dim=1), labels


def same_clusters(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one[:, None] == one, other[:, None] == other)


def naive(embeddings: Tensor, threshold: float, cannot_link: list[tuple[int, int]]) -> Tensor:
    """Join the two nearest clusters that may be joined, until none are within the threshold."""
    table = (embeddings[:, None] - embeddings).double().square().sum(-1)
    clusters = [[face] for face in range(len(embeddings))]
    forbidden = {frozenset(pair) for pair in cannot_link}
    while True:
        best, which = math.inf, None
        for i, j in itertools.combinations(range(len(clusters)), 2):
            if any(frozenset((a, b)) in forbidden for a in clusters[i] for b in clusters[j]):
                continue
            mean = float(table[clusters[i]][:, clusters[j]].mean())
            if mean < best:
                best, which = mean, (i, j)
        if which is None or best > threshold:
            break
        clusters[which[0]] += clusters.pop(which[1])
    labels = torch.zeros(len(embeddings), dtype=torch.int64)
    for number, faces in enumerate(clusters):
        labels[faces] = number
    return labels


@pytest.mark.parametrize("few", [1, 64])
@pytest.mark.parametrize("block", [1, 1000, 2**21])
@pytest.mark.parametrize("seed", range(3))
def test_clusters_are_scipys(seed: int, block: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of any size, and however few bounds are looked at in a round."""
    monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(module, "FEW", few)
    embeddings, _ = some(seed=seed)
    theirs = linkage(pdist(embeddings.double().numpy(), "sqeuclidean"), "average")
    tree = agglomerate(embeddings, 4.0)
    np.testing.assert_allclose(tree.heights.numpy(), theirs[:, 2], atol=1e-9)
    for threshold in (0.1, 0.3, 0.7, 1.1, 1.9, 4.0):
        expected = torch.from_numpy(fcluster(theirs, threshold, "distance"))
        assert same_clusters(tree.cut(threshold), expected)
        assert torch.equal(cluster(embeddings, threshold), tree.cut(threshold))


def test_vectors_that_are_no_unit_vectors_are_scipys_too() -> None:
    embeddings = some()[0] * 30 + 100
    theirs = linkage(pdist(embeddings.double().numpy(), "sqeuclidean"), "average")
    np.testing.assert_allclose(agglomerate(embeddings, torch.inf).heights.numpy(), theirs[:, 2], rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    faces=st.integers(2, 17),
    seed=st.integers(0, 10_000),
    threshold=st.one_of(st.floats(0.05, 4), st.just(math.inf)),
    forbidden=st.lists(st.tuples(st.integers(0, 16), st.integers(0, 16)), max_size=20),
)
def test_forbidden_pairs_are_those_of_the_naive_loop(
    faces: int, seed: int, threshold: float, forbidden: list[tuple[int, int]]
) -> None:
    embeddings, _ = some(faces, people=3, seed=seed)
    pairs = [(a % faces, b % faces) for a, b in forbidden if a % faces != b % faces]
    found = cluster(embeddings, threshold, pairs)
    assert all(found[a] != found[b] for a, b in pairs)
    assert same_clusters(found, naive(embeddings, threshold, pairs))


def test_two_faces_in_one_photograph_are_kept_apart() -> None:
    """Even two that are the same to the network; and what is forbidden to one face is so to its whole cluster."""
    embeddings = torch.ones(6, D) / math.sqrt(D)
    photographs = torch.tensor([7, 7, 8, 8, 9, 9])
    pairs = different_within(photographs)
    assert sorted(map(tuple, pairs.tolist())) == [(0, 1), (2, 3), (4, 5)]
    found = cluster(embeddings, 0.5, pairs)
    assert sorted(found.bincount().tolist()) == [3, 3]
    assert (found[0::2] != found[1::2]).all()
    assert cluster(embeddings, 0.5).max() == 0


def test_all_faces_of_a_crowd_are_different() -> None:
    photographs = torch.tensor([3, 1, 3, 3, 1, 2])
    expected = {(0, 2), (0, 3), (2, 3), (1, 4)}
    assert set(map(tuple, different_within(photographs).tolist())) == expected
    assert different_within(torch.arange(5)).shape == (0, 2)
    assert different_within(torch.zeros(0, dtype=torch.int64)).shape == (0, 2)


def test_clusters_are_numbered_by_their_first_faces() -> None:
    found = cluster(some()[0], 0.7)
    firsts = [int((found == number).nonzero()[0]) for number in range(int(found.max()) + 1)]
    assert firsts == sorted(firsts)
    assert found.dtype == torch.int64


def test_a_chain_is_not_followed() -> None:
    """Single linkage would join all of a row of faces, each near the next; the mean over all pairs doesn't."""
    angles = torch.arange(60) * 0.05
    row = torch.stack([angles.cos(), angles.sin()], 1)
    assert len(cluster(row, 0.1).unique()) > 5


@pytest.mark.parametrize("faces", [0, 1])
def test_no_face_and_one_face(faces: int) -> None:
    assert cluster(torch.ones(faces, D), 1.0).tolist() == [0] * faces


def test_equal_faces_are_joined_at_a_threshold_of_zero_and_quickly() -> None:
    """A collapsed network's: with ties taken in order, one would be joined a round."""
    tree = agglomerate(torch.ones(1009, D), 0.0)
    assert tree.cut(0.0).max() == 0
    assert tree.heights.max() == 0
    twins = torch.rand(97, D, generator=torch.Generator().manual_seed(0)).repeat(2, 1)
    assert same_clusters(cluster(twins, 0.0), torch.arange(97).repeat(2))


def test_one_cluster_that_swallows_face_after_face() -> None:
    """The slow case: a tight crowd and ever farther faces around it, joined one a round."""
    draw = torch.Generator().manual_seed(0)
    spread = torch.randn(401, D, generator=draw) * torch.linspace(0, 0.5, 401)[:, None]
    embeddings = F.normalize(torch.cat([torch.ones(401, 1), spread], 1), dim=1)
    theirs = linkage(pdist(embeddings.double().numpy(), "sqeuclidean"), "average")
    np.testing.assert_allclose(agglomerate(embeddings, 4.0).heights.numpy(), theirs[:, 2], atol=1e-9)


def test_a_chosen_threshold_is_the_best_there_is() -> None:
    embeddings, labels = some(noise=0.3)
    choice = choose_threshold(embeddings, labels)
    tree = agglomerate(embeddings, 2.0)
    cuts = [0.0, *((tree.heights[1:] + tree.heights[:-1]) / 2).tolist(), 2.0]
    assert choice.agreement.f == pytest.approx(max(bcubed(tree.cut(cut), labels).f for cut in cuts))
    assert choice.agreement == bcubed(cluster(embeddings, choice.threshold), labels)
    assert choice.threshold not in tree.heights  # but between two of them
    other, people = some(noise=0.3, seed=1)
    assert bcubed(cluster(other, choice.threshold), people).f > 0.8


def test_a_threshold_for_faces_of_which_none_should_be_joined() -> None:
    embeddings = F.normalize(torch.randn(23, D, generator=torch.Generator().manual_seed(0)), dim=1)
    choice = choose_threshold(embeddings, torch.arange(23))
    assert choice.agreement == (1, 1, 1)
    assert len(cluster(embeddings, choice.threshold).unique()) == 23


def test_a_threshold_knows_of_photographs() -> None:
    """Everybody looks alike, and each photograph shows both twins: only that tells them apart."""
    noise = torch.rand(10, D, generator=torch.Generator().manual_seed(0))
    embeddings = F.normalize(torch.ones(10, D) + 0.01 * noise, dim=1)
    twins = torch.tensor([0, 1]).repeat(5)
    photographs = torch.arange(5).repeat_interleave(2)
    free = choose_threshold(embeddings, twins).agreement.precision
    assert free < choose_threshold(embeddings, twins, different_within(photographs)).agreement.precision


@pytest.mark.parametrize("threshold", [-0.1, float("nan")])
def test_thresholds_that_are_none_are_refused(threshold: float) -> None:
    with pytest.raises(ConfigError, match="can't be meant; give a squared distance, 0 or more"):
        cluster(some()[0], threshold)


@pytest.mark.parametrize("pairs", [[(0, 151)], [(3, 3)], [(-1, 2)], torch.tensor([[1, 2], [9, 999]])])
def test_pairs_of_faces_that_are_not_two_are_refused(pairs: Pairs) -> None:
    with pytest.raises(
        ConfigError, match=r"faces -?\d+ and \d+ can't be kept apart; name two different ones, from 0 to 150"
    ):
        cluster(some()[0], 1.0, pairs)


def test_embeddings_that_are_not_finite_are_refused() -> None:
    embeddings = some()[0].clone()
    embeddings[19] = torch.nan
    with pytest.raises(DataError, match="embedding 19 isn't finite"):
        cluster(embeddings, 1.0)


def test_embeddings_are_left_as_they_are() -> None:
    embeddings = some()[0].double()
    before = embeddings.clone()
    cluster(embeddings, 1.0)
    assert torch.equal(embeddings, before)
