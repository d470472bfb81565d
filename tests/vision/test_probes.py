"""Probes against scikit-learn and naive loops."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor
from torch.nn import functional as F

from vitrail.errors import DataError
from vitrail.vision.probes import AttentiveProbe, fit_attentive, fit_linear, neighbour_votes


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels and labels of digits: 1,001 to train on, 796 to test on."""
    data = load_digits()
    pixels, labels = torch.tensor(data.data, dtype=torch.float32), torch.tensor(data.target)
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    train, test = order[:1001], order[1001:]
    return pixels[train], labels[train], pixels[test], labels[test]


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("penalty", [0.1, 0.003])
def test_linear_is_the_optimum_that_scikit_learn_finds(
    digits: tuple[Tensor, Tensor, Tensor, Tensor], batch_norm: bool, penalty: float
) -> None:
    train, labels, test, _ = digits
    ((found, probe),) = fit_linear(train, labels, 10, (penalty,), batch_norm=batch_norm)
    spread = train.std(0, correction=0)
    scale = torch.where(spread > 0, spread, 1.0) if batch_norm else spread.square().mean().sqrt()
    reference = LogisticRegression(C=1 / (len(train) * penalty), tol=1e-8, max_iter=5000)
    reference.fit(((train - train.mean(0)) / scale).numpy(), labels.numpy())
    expected = reference.predict_proba(((test - train.mean(0)) / scale).numpy())
    assert found == penalty
    np.testing.assert_allclose(probe(test).softmax(1).numpy(), expected, atol=2e-3)


def test_a_path_of_penalties_ends_where_single_fits_end(digits: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    train, labels, test, _ = digits
    path = dict(fit_linear(train, labels, 10, (0.01, 1.0, 0.1)))
    assert list(path) == [1.0, 0.1, 0.01]
    for penalty, probe in path.items():
        alone = dict(fit_linear(train, labels, 10, (penalty,)))[penalty]
        torch.testing.assert_close(probe(test), alone(test), atol=2e-2, rtol=0)
    sizes = [probe.linear.weight.norm().item() for probe in path.values()]
    assert sizes == sorted(sizes)


def test_batch_norm_makes_the_probe_blind_to_the_scale_of_features(
    digits: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    train, labels, test, _ = digits
    factors = torch.logspace(-2, 2, train.shape[1])

    def logits(batch_norm: bool, factor: Tensor | float) -> Tensor:
        ((_, probe),) = fit_linear(train * factor + 3, labels, 10, (0.01,), batch_norm=batch_norm)
        return probe(test * factor + 3)

    torch.testing.assert_close(logits(True, factors), logits(True, 1.0), atol=2e-2, rtol=0)
    assert (logits(False, factors) - logits(False, 1.0)).abs().max() > 1


@pytest.mark.parametrize("batch_norm", [True, False])
def test_features_that_never_change_do_no_harm(batch_norm: bool) -> None:
    features = torch.randn(23, 5, generator=torch.Generator().manual_seed(1))
    features[:, 2] = 7.0
    labels = (features[:, 0] > 0).long()
    ((_, probe),) = fit_linear(features, labels, 2, (1e-3,), batch_norm=batch_norm)
    assert (probe(features).argmax(1) == labels).all()
    ((_, probe),) = fit_linear(torch.full((23, 5), 7.0), labels, 2, (1e-3,), batch_norm=batch_norm)
    assert probe(features).isfinite().all()


def test_neighbours_are_those_of_scikit_learn(digits: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    train, labels, test, _ = digits
    votes = neighbour_votes(train, labels, test, 10, neighbours=(1, 7, 20), temperature=0.07)
    for k, vote in votes.items():
        reference = KNeighborsClassifier(
            k, metric="cosine", algorithm="brute", weights=lambda distance: np.exp((1 - distance) / 0.07)
        ).fit(train.numpy(), labels.numpy())
        expected = reference.predict_proba(test.numpy())
        np.testing.assert_allclose(F.normalize(vote, p=1, dim=1).numpy(), expected, atol=1e-4)
        assert (vote.argmax(1).numpy() == reference.predict(test.numpy())).all()


def test_neighbours_vote_as_a_naive_loop_says() -> None:
    generator = torch.Generator().manual_seed(2)
    train, queries = torch.randn(13, 5, generator=generator), torch.randn(7, 5, generator=generator)
    labels = torch.randint(3, (13,), generator=generator)
    votes = neighbour_votes(train, labels, queries, 3, neighbours=(4,), temperature=0.3)[4]
    for query, vote in zip(queries, votes, strict=True):
        similarity = [float(query @ key / query.norm() / key.norm()) for key in train]
        nearest = sorted(range(13), key=lambda i: -similarity[i])[:4]
        expected = [
            sum(math.exp((similarity[i] - similarity[nearest[0]]) / 0.3) for i in nearest if labels[i] == c)
            for c in range(3)
        ]
        assert vote.tolist() == pytest.approx(expected, abs=1e-5)


def test_more_neighbours_than_images_are_refused() -> None:
    with pytest.raises(DataError, match="5 neighbours were asked for among 3 images; ask for at most 3"):
        neighbour_votes(torch.randn(3, 2), torch.tensor([0, 1, 1]), torch.randn(2, 2), 2, neighbours=(1, 5))


def test_pooling_is_attention_over_standardised_tokens() -> None:
    generator = torch.Generator().manual_seed(3)
    mean, deviation = torch.randn(7, generator=generator), torch.rand(7, generator=generator) + 0.5
    queries = torch.randn(3, 7, generator=generator)
    probe = AttentiveProbe(mean, deviation, queries, torch.zeros(2, 21), torch.zeros(2))
    tokens = torch.randn(5, 11, 7, generator=generator)
    pooled = probe.pool(tokens)
    for image in range(5):
        seen = (tokens[image] - mean) / deviation
        for query in range(3):
            scores = [float(probe.queries[query] @ token) / math.sqrt(7) for token in seen]
            weights = torch.tensor(scores).softmax(0)
            expected = sum(weight * token for weight, token in zip(weights, seen, strict=True))
            torch.testing.assert_close(pooled[image, query], expected, atol=1e-5, rtol=0)


def test_attention_finds_the_one_token_that_matters() -> None:
    """Tokens carry a random payload in channel 0; the label is that of the token marked in channel 1."""
    generator = torch.Generator().manual_seed(4)
    tokens = torch.randn(700, 13, 5, generator=generator)
    tokens[..., 1] *= 0.1
    marked = torch.randint(13, (700,), generator=generator)
    tokens[torch.arange(700), marked, 1] += 1
    labels = (tokens[torch.arange(700), marked, 0] > 0).long()
    ((_, probe),) = fit_attentive(
        tokens[:500].bfloat16(), labels[:500], 2, (0.1,), queries=3, epochs=60, batch_size=100, lr=2e-2
    )
    attentive = (probe(tokens[500:]).argmax(1) == labels[500:]).float().mean().item()
    pooled = tokens.mean(1)
    ((_, linear),) = fit_linear(pooled[:500], labels[:500], 2, (1e-3,))
    assert attentive > 0.9
    assert (linear(pooled[500:]).argmax(1) == labels[500:]).float().mean().item() < 0.75


def test_the_seed_decides_an_attentive_probe() -> None:
    generator = torch.Generator().manual_seed(5)
    tokens, labels = torch.randn(29, 3, 7, generator=generator), torch.randint(2, (29,), generator=generator)
    first, again, other = (
        dict(fit_attentive(tokens, labels, 2, (0.1,), batch_size=10, seed=seed))[0.1](tokens) for seed in (0, 0, 1)
    )
    assert first.equal(again)
    assert not first.equal(other)


def test_attentive_probes_trained_together_are_those_trained_alone() -> None:
    generator = torch.Generator().manual_seed(6)
    tokens, labels = torch.randn(31, 3, 7, generator=generator), torch.randint(5, (31,), generator=generator)
    together = dict(fit_attentive(tokens, labels, 5, (0.0, 0.5, 3.0), queries=2, batch_size=11))
    for decay, probe in together.items():
        ((_, alone),) = fit_attentive(tokens, labels, 5, (decay,), queries=2, batch_size=11)
        torch.testing.assert_close(probe(tokens), alone(tokens), atol=1e-4, rtol=1e-4)
    sizes = [probe.weight.norm().item() for probe in together.values()]
    assert sizes == sorted(sizes, reverse=True)
