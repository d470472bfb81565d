"""Each score against a loop over queries and keys, and the numbers that the papers give."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from vitrail.trace import SCORES, Axis, Layer, Mask, Places, Trace, finish, finish_layer, recompute, score_heads
from vitrail.trace.scores import score_queries

Make = Callable[[], Trace]
Row = list[float]


def naive_entropy(a: Row, i: int, axis: Axis) -> float:
    return -sum(x * math.log(x) for x in a if x > 0) if any(a) else math.nan


def at(a: Row, j: int) -> float:
    return a[j] if 0 <= j < len(a) else math.nan


def total(a: Row, keys: Iterator[int]) -> float:
    found = list(keys)
    return sum(a[j] for j in found) if found else math.nan


def earlier(i: int, axis: Axis) -> list[int]:
    return [j for j in range(i) if axis.ids[j] == axis.ids[i] and not axis.special[i]]


def share(query: int, key: int) -> Callable[[Row, int, Axis], float]:
    def naive(a: Row, i: int, axis: Axis) -> float:
        return (
            total(a, (j for j in range(len(a)) if axis.segments[j] == key)) if axis.segments[i] == query else math.nan
        )

    return naive


NAIVE: dict[str, Callable[[Row, int, Axis], float]] = {
    "entropy": naive_entropy,
    "broadness": lambda a, i, axis: math.exp(naive_entropy(a, i, axis)),
    "previous": lambda a, i, axis: at(a, i - 1),
    "next": lambda a, i, axis: at(a, i + 1),
    "self": lambda a, i, axis: a[i],
    "first": lambda a, i, axis: a[0],
    "separator": lambda a, i, axis: total(a, (j for j in range(len(a)) if axis.texts[j] == "[SEP]")),
    "punctuation": lambda a, i, axis: total(a, (j for j in range(len(a)) if axis.texts[j] in ",.")),
    "duplicate": lambda a, i, axis: total(a, iter(earlier(i, axis))),
    "induction": lambda a, i, axis: total(a, (j + 1 for j in earlier(i, axis) if j + 1 < i)),
    "distance": lambda a, i, axis: sum(x * abs(i - j) for j, x in enumerate(a)),
    "pixels": lambda a, i, axis: math.nan,
    "A to A": share(0, 0),
    "A to B": share(0, 1),
    "B to A": share(1, 0),
    "B to B": share(1, 1),
}


@pytest.mark.parametrize("name", SCORES)
def test_each_score_is_its_loop(full: Make, name: str) -> None:
    trace = full()
    axis = trace.axis("source")
    for place in (1, 4):  # causal and Toeplitz; blocks and dense
        weights = trace.weights(place, stream="encoder")
        found = SCORES[name](weights, Places(axis, axis), slice(None))
        expected = [[NAIVE[name](row.tolist(), i, axis) for i, row in enumerate(head)] for head in weights]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        some = SCORES[name](weights[:, 3:8], Places(axis, axis), slice(3, 8))
        np.testing.assert_allclose(some, found[:, 3:8], rtol=1e-6)


def test_a_digest_is_every_score_of_the_whole_matrix(full: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompute, "BLOCK", 200)  # several blocks of rows
    trace = finish(full())
    for stream in trace.parts:
        for place, layer in enumerate(stream.layers):
            axes = trace.layer_axes(layer, stream)
            expected = score_heads(trace.weights(place, stream=stream.name), Places(*axes))
            for name in SCORES:
                np.testing.assert_allclose(layer.digest.scores[name], expected[name], rtol=1e-5, err_msg=name)
            assert layer.digest.counts["first"] == layer.size[0]


def test_uniform_attention_has_the_scores_that_a_digest_calls_uniform(full: Make) -> None:
    trace = finish(full())
    for stream, place in (("encoder", 1), ("encoder", 4), ("cross", 0), ("vision", 0)):
        layer = trace.layer(place, stream)
        allowed = layer.mask.expand(*layer.size).astype(np.float32)
        uniform = (allowed / np.maximum(allowed.sum(1, keepdims=True), 1))[None]
        found = score_heads(uniform, Places(*trace.layer_axes(layer, trace.stream(stream))))
        for name in SCORES:
            assert layer.digest.uniform[name] == pytest.approx(found[name][0], rel=1e-5, nan_ok=True), name


def test_cross_attention_has_no_previous_token_and_no_distance(full: Make) -> None:
    scores = finish(full()).layer(0, "cross").digest.scores
    silent = {name for name in SCORES if np.isnan(scores[name]).all()}
    relative = {"previous", "next", "self", "duplicate", "induction", "distance", "pixels"}
    assert silent == relative | {"A to A", "A to B", "B to A", "B to B"}


@pytest.mark.parametrize(("grid", "patch", "expected"), [(14, 16, 116.5), (16, 14, 116.6), (24, 16, 200.0)])
@pytest.mark.parametrize("cls", [False, True])
def test_uniform_attention_looks_as_far_as_is_known(grid: int, patch: int, expected: float, cls: bool) -> None:
    """The three usual Vision Transformers; a CLS token changes nothing."""
    n = grid * grid + cls
    places = np.arange(-cls, grid * grid, dtype=np.int32)
    axis = Axis("patches", "patches", n, grid=(grid, grid), patch=(patch, patch), places=places)
    found = score_heads(np.full((1, n, n), 1 / n, np.float32), Places(axis, axis))
    assert found["pixels"][0] == pytest.approx(expected, abs=0.05)
    assert np.isnan(found["distance"][0])
    assert found["entropy"][0] == pytest.approx(math.log(n), rel=1e-5)


def test_distances_in_pixels_are_a_loop_over_patches(full: Make) -> None:
    trace = full()
    axis, weights = trace.axis("patches"), trace.weights(0, stream="vision")
    found = score_queries(weights, Places(axis, axis))["pixels"]
    assert np.isnan(found[:, 0]).all()  # CLS stands nowhere
    for head in range(len(weights)):
        for i in range(1, axis.length):
            far, mass = 0.0, 0.0
            for j in range(1, axis.length):
                (r, c), (s, d) = divmod(axis.places[i], 5), divmod(axis.places[j], 5)
                far += weights[head, i, j] * math.hypot(2 * (r - s), 4 * (c - d))
                mass += weights[head, i, j]
            assert found[head, i] == pytest.approx(far / mass, rel=1e-5)


def test_a_perfect_induction_head_scores_one() -> None:
    """A random block of T tokens twice: mean A[i, i - (T - 1)]."""
    block = 11
    ids = np.tile(np.random.default_rng(0).permutation(97)[:block], 2).astype(np.int32)
    axis = Axis("t", "tokens", 2 * block, ids=ids)
    weights = np.zeros((2, 2 * block, 2 * block), np.float32)
    for i in range(2 * block):
        weights[0, i, max(0, i - (block - 1))] = 1
        weights[1, i, max(0, i - block)] = 1
    found = score_heads(weights, Places(axis, axis))
    assert found["induction"].tolist() == [1, 0]
    assert found["duplicate"].tolist() == [0, 1]


def test_texts_stand_in_for_unknown_numbers_and_nothing_for_both() -> None:
    weights = np.full((1, 5, 5), 0.2, np.float32)
    texts = Axis("t", "tokens", 5, texts=("a", "b", "a", "c", "a"))
    assert score_heads(weights, Places(texts, texts))["duplicate"][0] == pytest.approx(0.3)
    bare = Axis("t", "tokens", 5)
    found = score_heads(weights, Places(bare, bare))
    assert {name for name, one in found.items() if np.isnan(one[0])} == {
        "separator", "punctuation", "duplicate", "induction", "pixels", "A to A", "A to B", "B to A", "B to B"
    }  # fmt: skip


def test_one_token_has_no_neighbours() -> None:
    axis = Axis("t", "tokens", 1, texts=("a",))
    digest = finish_layer(Layer("l", np.ones((2, 1, 3)), np.ones((1, 1, 3)), mask=Mask("causal")), axis, axis).digest
    assert digest.scores["self"].tolist() == [1, 1]
    assert digest.scores["entropy"].tolist() == [0, 0]
    assert np.isnan(digest.scores["previous"]).all()
    assert digest.counts["previous"] == 0
    assert digest.thumbnails.tolist() == [[[255]], [[255]]]


def test_random_queries_and_keys_leave_almost_uniform_attention() -> None:
    """At Hugging Face's initialisation, N(0, 0.02), 768 wide, ln n - H is about 0.03 nats in layer 0 of BERT.

    A score has a variance of (768 · 0.02²)² = 0.094 over keys, a third less for what the token type gives to all keys
    alike, and the gap is half the variance.
    """
    draw, n, width = np.random.default_rng(0), 64, 768
    x = draw.standard_normal((n, width)) + draw.standard_normal((n, width)) + draw.standard_normal(width)
    x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    q, k = (np.stack([x @ (0.02 * draw.standard_normal((width, 64))) for _ in range(12)]) for _ in range(2))
    axis = Axis("t", "tokens", n)
    gap = math.log(n) - finish_layer(Layer("l", q, k, scale=64**-0.5), axis, axis).digest.scores["entropy"]
    assert gap.mean() == pytest.approx(0.031, abs=0.003)
