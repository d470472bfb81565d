"""What a model says, and would say after each layer: looked up by position, refused where it isn't there."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vitrail.errors import TraceError
from vitrail.trace import Predictions, Trace

SAID = Predictions(
    "next token",
    ("a", " b", "c"),
    np.array([31, 17, 5], np.int32),
    np.array([[2, 0], [1, 2]], np.int32),
    np.array([[0.75, 0.25], [0.5, 0.125]], np.float32),
    np.array([[[1], [1]], [[2], [1]], [[2], [1]]], np.int32),
    np.array([[[0.1], [0.2]], [[0.3], [0.4]], [[0.75], [0.5]]], np.float32),
)


def test_the_likeliest_come_first_by_position_and_layer() -> None:
    assert SAID.likeliest() == [("c", 0.75), ("a", 0.25)]
    assert SAID.likeliest(-1) == [(" b", 0.5), ("c", 0.125)]
    assert SAID.likeliest(1, layer=0) == [(" b", pytest.approx(0.2))]
    assert SAID.likeliest(0, layer=-1) == [("c", 0.75)]


def test_what_is_not_there_is_said() -> None:
    for ask, said in (
        (lambda: SAID.likeliest(2), "no position 2: predictions are of 2"),
        (lambda: SAID.likeliest(0, layer=3), "no layer 3: the logit lens has 3"),
        (lambda: replace(SAID, lens=None, lens_probabilities=None).likeliest(0, layer=0), "have no logit lens"),
    ):
        with pytest.raises(TraceError, match=said):
            ask()


def test_a_choice_beyond_the_texts_is_refused(full: Callable[[], Trace]) -> None:
    trace = full()
    encoder = trace.stream("encoder")
    assert encoder.predictions is not None
    for beyond in (7, -1):
        choices = encoder.predictions.choices.copy()
        choices[3, 2] = beyond
        wrong = replace(encoder, predictions=replace(encoder.predictions, choices=choices))
        with pytest.raises(TraceError, match="'encoder' has a choice that isn't among its 7 texts"):
            replace(trace, parts=(wrong, *trace.parts[1:]))
