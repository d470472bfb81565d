"""Tables of scores, intervals over inputs, and roles that are given only where they are earned."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

import vitrail as vt
from vitrail.errors import TraceError
from vitrail.trace import (
    SCORES,
    Axis,
    Layer,
    Mask,
    Provenance,
    Stream,
    Trace,
    finish,
    head_scores,
    label_heads,
    load_trace,
    named,
)
from vitrail.trace.alignment import aligned, aligned_if_uniform

Make = Callable[[], Trace]


def trace_of(weights: np.ndarray, axis: Axis, mask: Mask | None = None) -> Trace:
    """A trace whose heads have these weights: keys are one-hot, queries are logs."""
    h, n, _ = weights.shape
    q = np.log(np.maximum(weights, 1e-9)).astype(np.float32)
    k = np.broadcast_to(np.eye(n, dtype=np.float32), (h, n, n))
    layers = (Layer("l", q, k, mask=mask or Mask()),)
    return Trace(named([axis]), (Stream("s", axis.name, axis.name, layers),), Provenance("m"))


def pure_heads(axis: Axis) -> np.ndarray:
    """One head for each role, 0.9 of it there and the rest alike everywhere; the last three are broad and unclear."""
    n = axis.length
    targets = np.zeros((9, n, n))
    for i in range(n):
        targets[0, i, max(i - 1, 0)] = 1
        targets[1, i, min(i + 1, n - 1)] = 1
        targets[2, i, i] = 1
        targets[3, i, 0] = 1
        targets[4, i, n - 1] = 1  # the separator
        same = [j for j in range(i) if axis.texts[j] == axis.texts[i]]
        targets[5, i, same or [i]] = 1
        targets[6, i, [j + 1 for j in same if j + 1 < i] or [i]] = 1
        targets[7, i] = 1
        targets[8, i, (7 * i + 3) % n] = 1
    return 0.9 * targets / targets.sum(-1, keepdims=True) + 0.1 / n


def repeated(block: int = 12) -> Axis:
    texts = ("[CLS]", *(f"w{place}" for place in range(block)), *(f"w{place}" for place in range(block)), "[SEP]")
    special = np.array([text.startswith("[") for text in texts])
    return Axis("t", "tokens", len(texts), texts=texts, special=special)


def test_each_role_is_found_with_its_evidence() -> None:
    axis = repeated()
    table = label_heads(trace_of(pure_heads(axis), axis))
    assert table["role"].tolist() == [
        "previous token", "next token", "own token", "first token", "separator", "duplicate token", "induction",
        "broad", "unclear",
    ]  # fmt: skip
    assert table["evidence"][0] == "90% on the position before, over 25 queries; uniform attention has 4%"
    assert table["evidence"][6].startswith(
        "90% on what followed earlier occurrences of the same token, over 12 queries"
    )
    assert table["evidence"][7] == "spread as over 26.0 keys, uniform attention as over 26.0"
    assert table["score"][3] == pytest.approx(0.9 + 0.1 / 26, abs=0.01)
    assert list(table.columns) == ["stream", "layer", "head", "role", "score", "uniform", "evidence", "nearest"]
    assert not table["nearest"][:8].any()


def test_a_short_input_names_no_head() -> None:
    """Of two tokens with a causal mask, the second gives half to the one before whatever the head does."""
    axis = Axis("t", "tokens", 2, texts=("a", "b"))
    table = label_heads(trace_of(np.full((1, 2, 2), 0.5), axis, Mask("causal")))
    assert table["role"].tolist() == ["unclear"]
    assert table["evidence"][0] == "too little in the input to tell"
    axis = Axis("t", "tokens", 9, texts=("a", "b", "c", "a", "d", "e", "f", "g", "h"))
    weights = np.full((1, 9, 9), 1 / 9)
    weights[0, 3] = np.eye(9)[1]  # a perfect induction head, on the one query there is
    assert label_heads(trace_of(weights, axis))["role"].tolist() == ["broad"]


def test_a_head_near_uniform_attention_is_unclear_however_large_its_share() -> None:
    """Half of all tokens are punctuation: so is half of uniform attention."""
    axis = Axis("t", "tokens", 20, texts=("a", ",") * 10)
    weights = np.where(np.arange(20) % 2, 1.3, 0.7)[None, None].repeat(20, 1) / 20
    weights[0, np.arange(20), np.arange(20)] *= 1e-3
    table = label_heads(trace_of(weights / weights.sum(-1, keepdims=True), axis))
    assert head_scores(trace_of(weights, axis))["punctuation"][0] > 0.6
    assert table["role"][0] in ("broad", "unclear")


def test_heads_of_images_are_local_or_not() -> None:
    axis = Axis("p", "patches", 36, grid=(6, 6), patch=(4, 4))
    row, column = np.divmod(np.arange(36), 6)
    far = np.hypot(row[:, None] - row, column[:, None] - column)
    near = np.exp(-4.0 * (far - 1) ** 2)
    near /= near.sum(-1, keepdims=True)
    table = label_heads(trace_of(np.stack([near, np.full((36, 36), 1 / 36)]), axis))
    assert table["role"].tolist() == ["local", "broad"]
    assert "px away on average, uniform attention 1" in table["evidence"][0]


def test_the_other_sentence_is_a_role() -> None:
    segments = np.repeat([0, 1], 8).astype(np.int32)
    axis = Axis("t", "tokens", 16, segments=segments)
    weights = np.where(segments[:, None] != segments[None, :], 0.115, 0.01)[None]
    assert label_heads(trace_of(weights / weights.sum(-1, keepdims=True), axis))["role"].tolist() == ["other sentence"]


def crossing(weights: np.ndarray, texts: tuple[str, ...], read: tuple[str, ...]) -> Trace:
    """A trace of cross-attention with these weights: keys are one-hot, queries are logs."""
    h, _, n = weights.shape
    q = np.log(np.maximum(weights, 1e-9)).astype(np.float32)
    layers = (Layer("l", q, np.broadcast_to(np.eye(n, dtype=np.float32), (h, n, n))),)
    special = np.array([text.startswith("<") for text in read])
    axes = named(
        [
            Axis(
                "target", "tokens", len(texts), texts=texts, special=np.array([text.startswith("<") for text in texts])
            ),
            Axis("source", "tokens", n, texts=read, special=special),
        ]
    )
    return Trace(axes, (Stream("cross", "target", "source", layers),), Provenance("m"))


def test_roles_of_cross_attention() -> None:
    """What is read: w0 … w18 and an end; what is written: a start, then every second word of it, from w2."""
    read = (*(f"w{place}" for place in range(19)), "<end>")
    texts = ("<start>", *(f"w{place}" for place in range(2, 19, 2)))
    places = np.array([0, *range(2, 19, 2)])
    targets = np.zeros((6, len(texts), len(read)))
    rows = np.arange(len(texts))
    targets[0, :, 0] = 1
    targets[1, :, -1] = 1
    targets[2, rows, places] = 1  # which is a rising line as well: the larger share names it
    targets[3, rows, places + 1] = 1
    targets[4, rows, np.minimum(2 * rows + 4, 19)] = 1
    targets[5] = 1
    trace = crossing(0.9 * targets / targets.sum(-1, keepdims=True) + 0.1 / len(read), texts, read)
    table = label_heads(trace)
    assert table["role"].tolist() == ["first token", "separator", "same token", "copying", "aligned", "broad"]
    assert table["evidence"][3].startswith("91% on what follows the query's own token in what is read, over 9 queries")
    assert (
        "along a line that rises with the queries, over 10 queries; uniform attention has 25%" in table["evidence"][4]
    )
    assert head_scores(trace)["aligned"][[0, 1, 5]].tolist() == [0, 0, 0]


def test_cross_attention_with_nothing_above_uniform_says_so() -> None:
    read = tuple(f"w{place}" for place in range(20))
    weights = np.full((1, 11, 20), 1e-3)
    weights[0, :, [5, 13, 15]] = 1
    table = label_heads(crossing(weights / weights.sum(-1, keepdims=True), tuple("abcdefghijk"), read))
    assert table["role"].tolist() == ["unclear"]
    assert table["evidence"][0] == "no role gets more than uniform attention gives it"
    table = label_heads(crossing(np.full((1, 3, 20), 1 / 20), tuple("abc"), read))
    assert table["role"].tolist() == ["broad"]


def test_a_line_is_found_though_some_queries_look_at_the_end() -> None:
    places, keys = 2 * np.arange(17), 41
    mass = np.full((2, 17, keys), 0.3 / keys)
    mass[0, np.arange(17), places] += 0.7
    mass[0, ::3] = 0.3 / keys
    mass[0, ::3, -1] += 0.7
    mass[1, np.arange(17), places[::-1]] += 0.7  # falls
    thumbnails = np.rint(255 * np.sqrt(mass)).astype(np.uint8)
    found = aligned(thumbnails)
    inside = sum(min(place + 4, keys - 1) - max(place - 4, 0) + 1 for place in places) * 0.3 / keys
    assert found[0] == pytest.approx((11 * 0.7 + 0.7 + inside) / 17, abs=0.06)
    assert found[1] == 0
    assert np.isnan(aligned(thumbnails[:, :7])).all()
    assert aligned_if_uniform(keys) == 9 / 41


def test_one_trace_has_a_column_for_each_score(full: Make) -> None:
    table = head_scores(full())
    assert list(table.columns) == ["stream", "layer", "head", *SCORES, "importance", "aligned"]
    assert len(table) == 11 * 6
    trace = finish(full())
    line = table[(table["stream"] == "cross") & (table["layer"] == 2) & (table["head"] == 5)]
    assert line["first"].item() == pytest.approx(trace.layer(2, "cross").digest.scores["first"][5])
    assert line["previous"].isna().item()
    assert vt.head_scores(trace).equals(table)


def test_several_traces_have_means_and_intervals() -> None:
    axis, draw = repeated(), np.random.default_rng(0)
    weights = draw.random((5, 3, 26, 26))
    weights[:, 0, np.arange(1, 26), np.arange(25)] += np.array([5, 6, 7, 8, 30])[:, None]
    traces = [trace_of(one / one.sum(-1, keepdims=True), axis) for one in weights]
    table = head_scores(traces)
    each = np.array([head_scores(trace)["previous"] for trace in traces])
    np.testing.assert_allclose(table["previous"], each.mean(0), rtol=1e-6)
    resampled = np.array([each[draw.integers(0, 5, 5)].mean(0) for _ in range(4000)])
    np.testing.assert_allclose(table["previous low"], np.quantile(resampled, 0.025, axis=0), rtol=0.05)
    np.testing.assert_allclose(table["previous high"], np.quantile(resampled, 0.975, axis=0), rtol=0.05)
    assert head_scores(traces, seed=0).equals(table)
    assert table["pixels high"].isna().all()


def test_an_interval_is_the_middle_95_percent() -> None:
    """Of the mean of many inputs: 1.96 standard errors to each side."""
    axis, draw = Axis("t", "tokens", 7), np.random.default_rng(1)
    weights = draw.random((40, 3, 7, 7)) ** 2
    traces = [trace_of(one / one.sum(-1, keepdims=True), axis) for one in weights]
    table = head_scores(traces)
    each = np.array([head_scores(trace)[["first", "self", "next"]].to_numpy() for trace in traces])
    low, high = (table[[f"{name} {end}" for name in ("first", "self", "next")]].to_numpy() for end in ("low", "high"))
    assert ((high - low) / (each.std(0) / np.sqrt(40))).mean() == pytest.approx(2 * 1.96, rel=0.04)


def test_what_cannot_be_scored_together_is_refused(full: Make) -> None:
    with pytest.raises(TraceError, match="no traces to score: give at least one"):
        head_scores([])
    other = trace_of(np.full((1, 3, 3), 1 / 3), Axis("t", "tokens", 3))
    with pytest.raises(TraceError, match="'a model' and 'm' have different streams, layers or heads"):
        label_heads([full(), other])


def test_reading_a_trace_imports_no_framework(full: Make, tmp_path: object) -> None:
    path = finish(full()).save(f"{tmp_path}/a.safetensors")
    program = (
        f"import sys, vitrail as vt; t = vt.load_trace({str(path)!r}); t.weights(0, stream='cross'); "
        "print(*{'torch', 'transformers', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    assert load_trace(path).streams == full().streams
