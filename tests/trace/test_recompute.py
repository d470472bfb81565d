"""Weights from q and k against the formula, entry by entry; masks and biases against their definition."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from vitrail.errors import TraceError
from vitrail.trace import Axis, Bias, Layer, Mask, Provenance, Stream, Trace, finish, finish_layer, named, recompute
from vitrail.trace.recompute import part

Make = Callable[[], Trace]


def allowed(mask: Mask, i: int, j: int, head: int, queries: int, keys: int) -> bool:
    place = i + (keys - queries if mask.offset is None else mask.offset)
    if mask.rule == "causal":
        return j <= place
    if mask.rule == "window":
        return (mask.before is None or j >= place - mask.before) and (mask.after is None or j <= place + mask.after)
    if mask.rule == "prefix":
        return j < mask.length or j <= place
    if mask.rule == "blocks":
        return mask.query_blocks[i] == mask.key_blocks[j]
    if mask.rule == "bits":
        bits = mask.bits if mask.bits.ndim == 2 else mask.bits[head]
        return bool(bits[i, j // 8] >> (7 - j % 8) & 1)
    return True


def added(bias: Bias | None, i: int, j: int, head: int, queries: int, keys: int) -> float:
    if bias is None:
        return 0.0
    values = bias.values[min(head, len(bias.values) - 1)]
    if bias.kind == "toeplitz":
        return float(values[j - i + queries - 1])
    if bias.kind == "slopes":
        return -float(values) * abs(i + keys - queries - j)
    return float(values[j] if bias.kind == "keys" else values[i, j])


def naive(layer: Layer) -> np.ndarray:
    """softmax(cap(scale · q kᵀ + bias)) entry by entry, in Python's numbers."""
    (queries, keys), weights = layer.size, np.zeros((layer.heads, *layer.size))
    for head in range(layer.heads):
        k = layer.k[head // (layer.heads // len(layer.k))]
        for i in range(queries):
            row = []
            for j in range(keys):
                score = layer.scale * sum(float(a) * float(b) for a, b in zip(layer.q[head, i], k[j], strict=True))
                if layer.softcap and layer.softcap_order == "before mask":
                    score = layer.softcap * math.tanh(score / layer.softcap)
                score += added(layer.bias, i, j, head, queries, keys)
                if not allowed(layer.mask, i, j, head, queries, keys):
                    score = -math.inf
                if layer.softcap and layer.softcap_order == "after mask":
                    score = layer.softcap * math.tanh(score / layer.softcap)
                row.append(math.exp(score))
            total = sum(row) + (0 if layer.sinks is None else math.exp(layer.sinks[head]))
            weights[head, i] = [one / total if total else 0.0 for one in row]
    return weights


def test_weights_of_every_kind_of_layer_are_the_formula(full: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompute, "BLOCK", 40)  # several blocks of rows
    trace, seen = full(), 0
    for stream in trace.parts:
        for place, layer in enumerate(stream.layers):
            if layer.shipped is not None:
                continue
            weights = trace.weights(place, stream=stream.name)
            assert weights.dtype == np.float32
            np.testing.assert_allclose(weights, naive(layer), atol=1e-6)
            np.testing.assert_array_equal(trace.weights(place, 3, stream.name), weights[3])
            scores = trace.scores(place, stream=stream.name)
            lse = finish_layer(layer, *trace.layer_axes(layer, stream)).lse
            np.testing.assert_allclose(
                np.exp(scores - np.where(np.isfinite(lse), lse, 0)[..., None]), weights, atol=1e-6
            )
            seen += 1
    assert seen == 10


def test_a_query_that_may_look_nowhere_has_a_row_of_zeros(full: Make) -> None:
    trace = full()
    assert not trace.weights(0, stream="cross")[:, 3].any()
    assert (trace.scores(0, stream="cross")[:, 3] == -np.inf).all()
    finished = finish(trace).layer(0, "cross")
    assert (finished.lse[:, 3] == -np.inf).all()


def test_rows_sum_to_what_a_sink_leaves(full: Make) -> None:
    trace = full()
    layer = finish(trace).layer(2, "cross")
    left = 1 - np.exp(layer.sinks[:, None] - layer.lse)
    np.testing.assert_allclose(trace.weights(2, stream="cross").sum(-1), left, atol=1e-6)


def test_gradients_are_those_of_the_weights(full: Make) -> None:
    """dL/dA = g vᵀ, where L = Σ g · (A v)."""
    trace = full()
    layer = trace.layer(0, "cross")
    v = part(layer, "v")
    expected = np.einsum("hqd,hkd->hqk", layer.g, v)
    np.testing.assert_allclose(trace.gradients(0, stream="cross"), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trace.gradients(0, 4, "cross"), expected[4], rtol=1e-5, atol=1e-6)
    with pytest.raises(TraceError, match=r"'cross\.1' has no gradients: capture again with a target"):
        trace.gradients(1, stream="cross")


def test_shared_keys_and_values_are_repeated(full: Make) -> None:
    trace = full()
    layer = trace.layer(0, "encoder")
    assert trace.queries(0, stream="encoder").shape == layer.q.shape
    np.testing.assert_array_equal(trace.keys(0, stream="encoder")[[0, 1, 4]], layer.k[[0, 0, 2]])
    np.testing.assert_array_equal(trace.values(0, 5, "encoder"), layer.v[2])


def test_shipped_weights_are_given_as_they_are(full: Make) -> None:
    trace = full()
    np.testing.assert_array_equal(trace.weights(3, stream="cross"), trace.layer(3, "cross").shipped)


@pytest.mark.parametrize(
    "mask",
    [
        Mask("causal", offset=0),
        Mask("window", before=2, after=0),
        Mask("window", before=0, after=3),
        Mask("window", after=2),
        Mask("prefix", offset=0, length=4),
        Mask("blocks", query_blocks=np.array([0, 0, 1, 1, 2, 3, 3]), key_blocks=np.array([0, 1, 1, 2, 3, 3, 3, 0, 4])),
    ],
)
def test_masks_are_what_their_table_says_and_found_again(mask: Mask) -> None:
    flags = mask.expand(7, 9)
    assert flags.tolist() == [[allowed(mask, i, j, 0, 7, 9) for j in range(9)] for i in range(7)]
    np.testing.assert_array_equal(mask.expand(7, 9, slice(2, 5)), flags[2:5])
    found = Mask.of(flags)
    assert found.bits is None or mask.offset is not None
    np.testing.assert_array_equal(found.expand(7, 9), flags)
    np.testing.assert_array_equal(Mask.of(np.stack([flags] * 3)).expand(7, 9), flags)


@pytest.mark.parametrize("queries", [1, 7])
def test_any_mask_comes_back_bit_by_bit(queries: int) -> None:
    draw = np.random.default_rng(0)
    for heads in (1, 3):
        for share in (0.0, 0.1, 0.5, 1.0):
            flags = draw.random((heads, queries, 11)) < share
            expanded = Mask.of(flags).expand(queries, 11)
            np.testing.assert_array_equal(np.broadcast_to(expanded, flags.shape), flags)
    assert Mask.of(np.ones((queries, 11), bool)).rule == "all"
    assert Mask.of(np.tri(11, dtype=bool)).rule == "causal"


@pytest.mark.parametrize("kind", ["toeplitz", "slopes", "keys", "dense"])
def test_biases_are_what_their_table_says_and_found_again(kind: str) -> None:
    shape = {"toeplitz": (3, 15), "slopes": (3,), "keys": (3, 9), "dense": (3, 7, 9)}[kind]
    bias = Bias(kind, np.random.default_rng(1).standard_normal(shape).astype(np.float32))
    dense = bias.expand(7, 9)
    expected = [[[added(bias, i, j, h, 7, 9) for j in range(9)] for i in range(7)] for h in range(3)]
    np.testing.assert_allclose(dense, expected, rtol=1e-6)
    np.testing.assert_array_equal(bias.expand(7, 9, slice(2, 5), 1), dense[1, 2:5])
    found = Bias.of(dense)
    assert found.kind == ("toeplitz" if kind == "slopes" else kind)
    np.testing.assert_array_equal(found.expand(7, 9), dense)


def test_a_bias_need_fit_only_where_one_may_look() -> None:
    causal = np.tri(7, dtype=bool)
    dense = Bias("toeplitz", np.arange(13.0)[None]).expand(7, 7).copy()
    dense[:, ~causal] = np.finfo(np.float32).min
    found = Bias.of(dense, causal)
    assert found.kind == "toeplitz"
    np.testing.assert_array_equal(found.expand(7, 7)[:, causal], dense[:, causal])
    assert Bias.of(np.zeros((3, 7, 7))) is None
    assert Bias.of(np.stack([dense[0]] * 3), causal).values.shape == (1, 13)


def test_numbers_that_are_not_finite_are_refused_by_name() -> None:
    axis = Axis("t", "tokens", 3)
    q = np.ones((2, 3, 5), np.float32)
    q[1, 2, 0] = np.nan
    trace = Trace(
        named([axis]), (Stream("s", "t", "t", (Layer("a.b", q, np.ones((2, 3, 5), np.float32)),)),), Provenance("m")
    )
    assert trace.weights(0, 0).shape == (3, 3)
    with pytest.raises(TraceError, match=r"'a\.b'.*aren't finite in head 1"):
        trace.weights(0)
    with pytest.raises(TraceError, match="no head 2: it has 2, counted from 0"):
        trace.weights(0, 2)
