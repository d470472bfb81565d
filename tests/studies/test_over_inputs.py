"""Scores by layer over inputs: those of every head, as shares where they are told so, and intervals over inputs."""

import numpy as np
import pytest
from scipy import stats
from studies_bert import write_bert

from vitrail.capture.huggingface import load
from vitrail.errors import DataError
from vitrail.studies.bert import Bert
from vitrail.studies.measuring import Interval
from vitrail.studies.over_inputs import by_layer, cell, joined, over, plain, scored, scored_map, told
from vitrail.studies.seeing import see
from vitrail.trace import Places, score_heads

TEXTS = ("one of two is seen", "two of one and of two", "seen")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Bert:
    folder = tmp_path_factory.mktemp("bert") / "tiny"
    write_bert(folder, TEXTS)
    model, tokenizer, _ = load(str(folder))
    return Bert(model, tokenizer)


def test_scores_are_those_of_each_trace(bert: Bert) -> None:
    traces = [bert.read(text) for text in TEXTS]
    found = scored(traces)
    assert found.values.shape == found.uniform.shape == (3, 2, 7, len(found.names))
    for number, trace in enumerate(traces):
        axis = trace.tokens()
        for layer in range(2):
            by_hand = score_heads(trace.weights(layer), Places(axis, axis))
            assert found.heads("previous")[number, layer] == pytest.approx(by_hand["previous"], abs=1e-6)
            share = by_hand["entropy"] / np.log(axis.length)
            assert found.heads("entropy")[number, layer] == pytest.approx(share, abs=1e-5)
            assert found.layers("entropy")[number, layer] == pytest.approx(share.mean(), abs=1e-5)
    best = found.heads("first").mean(0).argmax(-1)
    assert found.best("first")[1].tolist() == [found.heads("first")[1, layer, best[layer]] for layer in range(2)]


def test_scores_of_maps_are_those_of_traces(bert: Bert) -> None:
    traces = scored([bert.read(text) for text in TEXTS])
    maps = joined([scored_map(seen.maps, seen.axis) for text in TEXTS for seen in see(bert, [(text,)])])
    assert maps.names == traces.names
    assert maps.values == pytest.approx(traces.values, abs=1e-5, nan_ok=True)
    assert maps.uniform == pytest.approx(traces.uniform, abs=1e-5, nan_ok=True)


def test_texts_of_one_length_are_seen_at_once(bert: Bert) -> None:
    together = see(bert, [("seen of one", "two of one"), ("one of seen", "of of two")])
    for seen, texts in zip(together, [("seen of one", "two of one"), ("one of seen", "of of two")], strict=True):
        trace = bert.read(*texts, hidden=True)
        stream = trace.stream()
        assert seen.axis.texts == trace.tokens().texts
        for layer in range(2):
            assert seen.maps[layer] == pytest.approx(trace.weights(layer), abs=1e-6)
            assert seen.states[layer + 1] == pytest.approx(stream.layers[layer].hidden, abs=1e-5)
        assert seen.states[0] == pytest.approx(stream.embedded, abs=1e-5)
    with pytest.raises(DataError, match=r"^texts of 3 and of 4 tokens can't be read at once: give each alone\.$"):
        see(bert, [("seen",), ("of seen",)])


def test_intervals_are_students_over_inputs() -> None:
    values = np.random.default_rng(0).normal(1, 1, (11, 2))
    for column, found in zip(values.T, by_layer(values), strict=True):
        low, high = stats.t.interval(0.95, 10, column.mean(), stats.sem(column))
        assert (found.value, found.low, found.high) == pytest.approx((column.mean(), low, high))
    assert over(np.array([1.0, np.nan, 3.0])).value == 2, "an input that a score says nothing about is left out"
    alone = over(np.array([0.25]))
    assert (alone.low, alone.value, alone.high) == (0.25, 0.25, 0.25)


def test_how_they_are_told() -> None:
    found = Interval(0.1234, 0.01, 0.1, 0.2)
    assert cell(found) == "0.12 (0.10 to 0.20)"
    assert told(found, 3) == "+0.123 (+0.100 to +0.200)"
    assert told(Interval(0.1, 0.1, -0.1, 0.3)) == "too small to tell (-0.10 to +0.30)"
    assert plain([found]) == {"value": [0.1234], "low": [0.1], "high": [0.2]}
