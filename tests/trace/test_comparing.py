"""Words, comparisons and importances, by hand and by loops."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vitrail.errors import TraceError
from vitrail.trace import (
    Axis,
    Layer,
    Provenance,
    Stream,
    Trace,
    align,
    compare_maps,
    finish,
    gradient_x_attention,
    head_importance,
    jensen_shannon,
    named,
    norm_weighted,
    word_cosines,
    word_states,
    word_weights,
    words_of,
)
from vitrail.trace.recompute import part

Make = Callable[[], Trace]


def test_jensen_shannon_by_hand() -> None:
    p, q = np.array([0.5, 0.5, 0]), np.array([0.5, 0, 0.5])
    # The mean is ½, ¼, ¼: its entropy is 1.5 ln 2, and both rows have ln 2.
    assert jensen_shannon(p, q) == pytest.approx(0.5 * math.log(2))
    assert jensen_shannon(p, p) == 0
    assert jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])) == pytest.approx(math.log(2))
    assert jensen_shannon(3 * p, q) == pytest.approx(0.5 * math.log(2))  # scaled to sum to 1
    assert np.isnan(jensen_shannon(np.zeros(3), q))
    stacked = jensen_shannon(np.stack([p, p, np.zeros(3)]), np.stack([q, p, q]))
    np.testing.assert_allclose(stacked, [0.5 * math.log(2), 0, np.nan])


def test_tokens_align_by_what_is_written() -> None:
    first = Axis("a", "tokens", 6, texts=("The", " dog", " ran", " a", " way", "."))
    second = Axis("b", "tokens", 5, texts=("the", " old", " dog", " ran", "."))
    found = align(first, second)
    assert found.first.tolist() == [0, 1, 2, 5]
    assert found.second.tolist() == [0, 2, 3, 4]
    assert len(align(first, Axis("c", "tokens", 2, texts=("x", "y"))).first) == 0


def test_patches_align_by_place() -> None:
    all_of_them = Axis("a", "patches", 7, grid=(2, 3), places=np.arange(-1, 6, dtype=np.int32))
    visible = Axis("b", "patches", 4, grid=(2, 3), places=np.array([-1, 4, 0, 2], np.int32))
    assert align(visible, all_of_them).second.tolist() == [0, 5, 1, 3]
    registers = Axis("c", "patches", 4, grid=(1, 2), places=np.array([-1, -1, 0, 1], np.int32))
    assert align(registers, registers).second.tolist() == [0, 1, 2, 3]


def test_maps_are_compared_where_they_align_and_the_rest_counts_in_full() -> None:
    first = Axis("a", "tokens", 3, texts=("x", "y", "z"))
    second = Axis("b", "tokens", 3, texts=("x", "w", "z"))
    a = np.array([[[0.5, 0.5, 0], [0, 1, 0], [0.2, 0.3, 0.5]]])
    b = np.array([[[0.5, 0.5, 0], [0, 1, 0], [0.2, 0.3, 0.5]]])
    found = compare_maps(a, b, (first, second), (first, second))
    assert found.queries.first.tolist() == [0, 2]
    # Row 0: half on x in both, half on tokens that only one has. Row 2: 0.3 so.
    np.testing.assert_allclose(found.divergence, [[0.5 * math.log(2), 0.3 * math.log(2)]], rtol=1e-6)
    same = compare_maps(a, b, (first, first), (first, first))
    assert not same.divergence.any()


def test_words_are_joined_pieces(full: Make) -> None:
    trace = full()
    axis = trace.axis("source")
    words = words_of(axis)
    assert words.texts == ("[CLS]", "the", "cat sat", ",", "the", "cat", "[SEP]", "the", "dog ran", ".", "[SEP]")
    weights = trace.weights(0, stream="encoder")
    found = word_weights(weights, axis, axis)
    assert found.shape == (6, 11, 11)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-6)
    spans = list(zip(words.starts, words.ends, strict=True))
    for i, (a, b) in enumerate(spans):
        for j, (c, d) in enumerate(spans):
            expected = np.mean([weights[2, q, c:d].sum() for q in range(a, b)])
            assert found[2, i, j] == pytest.approx(expected, rel=1e-5)
    assert word_weights(weights[0], axis, axis).shape == (11, 11)
    assert words_of(trace.axis("target")).texts == tuple("abcabca")
    pieces = Axis("pieces", "tokens", 4, texts=("##s", "acc", "##ura", "##"), words=np.array([-1, 0, 0, 0], np.int32))
    assert words_of(pieces).texts == ("##s", "accura##"), "marks of pieces that go on with their word"


def hidden_trace(texts: tuple[str, ...], words: list[int], states: np.ndarray) -> Trace:
    n = len(texts)
    axis = Axis("t", "tokens", n, texts=texts, words=np.array(words, np.int32))
    q = np.ones((2, n, 3), np.float32)
    layers = tuple(Layer(f"l{place}", q, q, hidden=state) for place, state in enumerate(states[1:]))
    return Trace(named([axis]), (Stream("encoder", "t", "t", layers, embedded=states[0]),), Provenance("m"))


def test_a_word_in_two_inputs_layer_by_layer() -> None:
    draw = np.random.default_rng(0)
    one, two = draw.standard_normal((3, 4, 5)), draw.standard_normal((3, 3, 5))
    one[0, 1:3] = two[0, 2]  # both pieces enter as the other's whole word does
    first = hidden_trace(("I", " pl", "ay", " play"), [0, 1, 1, 2], one)
    second = hidden_trace(("a", " the", " Play"), [0, 1, 2], two)
    found = word_cosines(first, second, "play")
    expected = []
    for layer in range(3):
        x, y = (one[layer, 1] + one[layer, 2]) / 2, two[layer, 2]
        expected.append(sum(x * y) / math.sqrt(sum(x * x) * sum(y * y)))
    np.testing.assert_allclose(found, expected)
    assert found[0] == pytest.approx(1)
    np.testing.assert_allclose(word_states(first, "play", occurrence=1), one[:, 3])
    with pytest.raises(TraceError, match=r"'dog' is 0 times in the stream 'encoder'.*its words are I, play, play"):
        word_states(first, "dog")
    with pytest.raises(TraceError, match="no occurrence 1"):
        word_cosines(first, second, "play", occurrences=(0, 1))
    bare = replace(first, parts=(replace(first.parts[0], embedded=None),))
    with pytest.raises(TraceError, match="no hidden states of each layer"):
        word_states(bare, "play")
    with pytest.raises(TraceError, match=r"\[3, 5\] and \[2, 5\] \(layers, width\)"):
        word_cosines(first, hidden_trace(("play",), [0], two[:2, :1]), "play")


def test_weights_with_what_they_multiply(full: Make) -> None:
    trace = full()
    layer, weights, gradients = (
        trace.layer(0, "cross"),
        trace.weights(0, stream="cross"),
        trace.gradients(0, stream="cross"),
    )
    projection = np.random.default_rng(0).standard_normal((6, 11, 17))
    values = part(layer, "v")
    vo = np.linalg.norm(np.einsum("hkd,hdm->hkm", values, projection), axis=-1)
    expected = np.linalg.norm(np.einsum("hqk,hkd,hdm->hqkm", weights, values, projection), axis=-1)
    np.testing.assert_allclose(norm_weighted(weights, vo), expected, rtol=1e-4)
    product = gradient_x_attention(weights, gradients)
    importance = [abs(sum(product[head].ravel().tolist())) for head in range(6)]
    np.testing.assert_allclose(head_importance(weights, gradients), importance, rtol=1e-4)
    np.testing.assert_allclose(finish(trace).layer(0, "cross").digest.scores["importance"], importance, rtol=1e-4)
