"""What is said of attention in numbers, beside loops that say the same word by word."""

import numpy as np
import pytest
from homework_models import made

from vitrail.errors import DataError, TraceError
from vitrail.homework.attention_numbers import (
    KINDS,
    divergence,
    divergence_at,
    first_piece,
    habits,
    later,
    link,
    shares_by_kind,
    strongest,
    token_kinds,
)
from vitrail.trace import Trace, head_scores, jensen_shannon

TEXTS = ("[CLS]", "the", "play", "##ers", "ran", ".", "[SEP]")
WORDS = (-1, 0, 1, 1, 2, 3, -1)
SPECIAL = (True, False, False, False, False, False, True)


@pytest.fixture
def trace() -> Trace:
    return made(TEXTS, WORDS, SPECIAL)


def test_later_is_what_goes_to_later_positions(trace: Trace) -> None:
    for layer, share in enumerate(later(trace)):
        weights, total = trace.weights(layer), 0.0
        for head in range(3):
            for query in range(7):
                total += sum(float(weights[head, query, key]) for key in range(query + 1, 7))
        assert share == pytest.approx(total / 21, abs=1e-6)


def test_every_token_is_of_one_kind(trace: Trace) -> None:
    assert token_kinds(trace.tokens()) == [
        "[CLS]",
        "function words",
        "other words",
        "other words",
        "other words",
        "punctuation",
        "[SEP]",
    ]
    shares, positions = shares_by_kind(trace)
    assert shares.shape == (2, 5)
    assert shares.sum(1) == pytest.approx([1, 1])
    assert positions == pytest.approx([1 / 7, 1 / 7, 1 / 7, 1 / 7, 3 / 7])
    others = float(np.mean([trace.weights(1, head)[query, 2:5].sum() for head in range(3) for query in range(7)]))
    assert shares[1][KINDS.index("other words")] == pytest.approx(others, abs=1e-6)


def test_a_link_is_between_words(trace: Trace) -> None:
    found = link(trace, "players", "the")
    for layer in range(2):
        for head in range(3):
            weights = trace.weights(layer, head)
            assert found[layer, head] == pytest.approx((weights[2, 1] + weights[3, 1]) / 2, abs=1e-6)
    back = link(trace, "the", "players")
    assert back[1, 2] == pytest.approx(trace.weights(1, 2)[1, 2:4].sum(), abs=1e-6)
    assert first_piece(trace.tokens(), "Ran") == 4
    best = strongest(found)
    assert found[best.layer, best.head] == best.weight == found.max()
    with pytest.raises(DataError, match="'dog' is no word of"):
        link(trace, "dog", "the")


def test_divergence_is_of_rows_that_align(trace: Trace) -> None:
    other = made(TEXTS, WORDS, SPECIAL, seed=1)
    found = divergence(trace, other)
    rows = [jensen_shannon(trace.weights(1, 2)[query], other.weights(1, 2)[query]) for query in range(7)]
    assert found.shape == (2, 3)
    assert found[1, 2] == pytest.approx(float(np.mean(rows)), abs=1e-6)
    assert divergence(trace, trace) == pytest.approx(np.zeros((2, 3)), abs=1e-9)
    assert divergence_at(trace, other, "players")[1, 2] == pytest.approx(float(rows[2]), abs=1e-6)
    stranger = made(("a", "b"), (0, 1), (False, False))
    with pytest.raises(TraceError, match="no token in common"):
        divergence(trace, stranger)


def test_habits_are_correlations_over_heads(trace: Trace) -> None:
    other = made(TEXTS, WORDS, SPECIAL, seed=1)
    one, two = (head_scores(of)["first"].to_numpy() for of in (trace, other))
    assert habits(trace, other, "first") == pytest.approx(float(np.corrcoef(one, two)[0, 1]))
    assert habits(trace, trace, "previous") == pytest.approx(1)
    assert np.isnan(habits(trace, other, "duplicate"))
