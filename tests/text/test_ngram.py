"""Kneser-Ney by hand, beside a naive recursion, and summing to 1 whatever the context."""

from collections import Counter
from math import exp, log

import numpy as np
import pytest

from vitrail.errors import ConfigError
from vitrail.text.ngram import FALLBACK, KneserNey, discounts

WORDS = 7


def some_stream(length: int = 400, seed: int = 3, words: int = WORDS) -> np.ndarray:
    """Tokens that depend on the two before, and of which one never comes."""
    random = np.random.default_rng(seed)
    stream = [0, 1]
    for _ in range(length - 2):
        stream.append((stream[-1] * 2 + stream[-2] + int(random.geometric(0.5))) % (words - 1))
    return np.array(stream, np.int32)


STREAM = some_stream()


def naive(order: int) -> "dict[tuple[int, ...], float]":
    """The probability of each token after each context of up to ``order`` - 1 tokens, by the formula."""
    stream = STREAM.tolist()
    grams = {n: Counter(tuple(stream[i : i + n]) for i in range(len(stream) - n + 1)) for n in range(1, order + 1)}
    counts = {order: grams[order]}
    for n in range(1, order):
        counts[n] = Counter(gram[1:] for gram in grams[n + 1])

    def chance(gram: tuple[int, ...]) -> float:
        n = len(gram)
        below = chance(gram[1:]) if n > 1 else 1 / WORDS
        same = {key: count for key, count in counts[n].items() if key[:-1] == gram[:-1]}
        total = sum(same.values())
        if not total:
            return below
        cuts = (0.0, *discounts(np.array(list(counts[n].values()))))
        cut = {key: cuts[min(count, 3)] for key, count in same.items()}
        own = same.get(gram, 0) - cut.get(gram, 0.0)
        return own / total + sum(cut.values()) / total * below

    return {
        gram: chance(gram)
        for gram in ((a, b, c, d) for a in range(WORDS) for b in range(WORDS) for c in (0, 3, 6) for d in range(WORDS))
    }


def test_by_hand() -> None:
    model = KneserNey(np.array([0, 1, 0, 1, 0, 2]), 3, order=2)
    rows = [[a, b] for a in range(3) for b in range(3)]
    found = np.exp(model.log_probabilities(np.array(rows))).round(12)
    third = 1 / 3  # each token was seen after one other
    expected = [1 / 6, 1 / 2, 1 / 3, 2 / 3, 1 / 6, 1 / 6, third, third, third]
    assert found[:, 1].tolist() == pytest.approx(expected)
    assert found[:, 0].tolist() == pytest.approx([third] * 9)
    single = KneserNey(np.array([0, 1, 0, 1, 0, 2]), 4, order=1)
    # Counts 3, 2, 1, 0 less 1.5, 1, 0.5; 3 of 6 are left for four tokens alike.
    assert np.exp(single.log_probabilities(np.array([[0], [1], [2], [3]])))[:, 0] == pytest.approx(
        [1.5 / 6 + 1 / 8, 1 / 6 + 1 / 8, 0.5 / 6 + 1 / 8, 1 / 8]
    )


@pytest.mark.parametrize("order", [2, 3, 4])
def test_by_the_formula(order: int) -> None:
    model = KneserNey(STREAM, WORDS, order)
    expected = naive(4) if order == 4 else {}
    for gram, chance in expected.items():
        assert model.log_probabilities(np.array([gram]))[0, 3] == pytest.approx(log(chance)), gram
    contexts = np.array([(a, b, c) for a in range(WORDS) for b in range(WORDS) for c in range(WORDS)])
    total = np.zeros(len(contexts))
    for token in range(WORDS):
        rows = np.concatenate([contexts, np.full((len(contexts), 1), token)], 1)
        total += np.exp(model.log_probabilities(rows)[:, 3])
    assert total == pytest.approx(np.ones(len(contexts)))


def test_longer_contexts_tell_more_of_what_follows_a_rule() -> None:
    held_out, stream = some_stream(2000, 4, 29)[None], some_stream(9000, 3, 29)
    nats = [-KneserNey(stream, 29, order).log_probabilities(held_out).mean() for order in (1, 3, 5)]
    assert nats[0] == pytest.approx(log(28), abs=0.1)
    assert nats[1] < 2, "two bits are chance"
    assert nats[2] < 2.6
    model = KneserNey(stream, 29)
    rows, whole = (model.log_probabilities(held_out[:, :50].reshape(shape)) for shape in ((5, 10), (1, 50)))
    assert rows[0] == pytest.approx(whole[0, :10])
    assert rows[1, 0] != pytest.approx(whole[0, 10])


def test_between_is_what_fits_on_both_sides() -> None:
    model, stream = KneserNey(STREAM, WORDS, 3), some_stream(20, seed=4)
    for place in (0, 1, 9, 18, 19):
        scores = []
        for token in range(WORDS):
            changed = stream.copy()
            changed[place] = token
            scores.append(exp(model.log_probabilities(changed[None]).sum()))
        expected = log(scores[stream[place]] / sum(scores))
        assert model.log_probabilities_between(stream, np.array([place]))[0] == pytest.approx(expected)
    model, stream = KneserNey(some_stream(9000, 3, 29), 29, 3), some_stream(500, 4, 29)
    after = model.log_probabilities(stream[None])[0]
    assert model.log_probabilities_between(stream, np.arange(500)).mean() > after.mean() + 0.3


def test_discounts_are_the_formulas() -> None:
    counts = np.array([1] * 60 + [2] * 20 + [3] * 10 + [4] * 5 + [9] * 7)
    share = 60 / (60 + 40)
    assert discounts(counts) == pytest.approx(
        (1 - 2 * share * 20 / 60, 2 - 3 * share * 10 / 20, 3 - 4 * share * 5 / 10)
    )
    assert discounts(np.array([1, 1, 2])) == FALLBACK
    assert discounts(np.array([1] * 60 + [2] * 20 + [3] * 10 + [9])) == FALLBACK
    assert discounts(np.array([1] * 60 + [2] + [3] * 30 + [4])) == FALLBACK, "a discount may not be below 0"


def test_short_and_empty_streams() -> None:
    for stream in ([], [2], [2, 3]):
        model = KneserNey(np.array(stream, np.int32), WORDS)
        found = model.log_probabilities(np.array([[2, 3, 4, 2, 3, 5]]))
        assert np.isfinite(found).all()
        assert np.exp(model.log_probabilities(np.arange(WORDS)[:, None])).sum() == pytest.approx(1)
    with pytest.raises(ConfigError, match="0-grams"):
        KneserNey(STREAM, WORDS, 0)
