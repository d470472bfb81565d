"""Side by side: the difference is one map less the other where their tokens align."""

from collections.abc import Callable

import numpy as np
import pytest

from vitrail.errors import TraceError
from vitrail.trace import Trace, label_heads
from vitrail.viewer.figures import side_by_side

Make = Callable[..., Trace]


def maps(figure: object) -> list[np.ndarray]:
    return [panel.get_images()[0].get_array() for panel in figure.axes if panel.get_images()]  # type: ignore[attr-defined]


def test_the_difference_is_the_second_less_the_first(text_trace: Make) -> None:
    first, second = text_trace(), text_trace(seed=5, weights="untrained (library)")
    figure = side_by_side(first, second, layer=1, head=2)
    drawn = maps(figure)
    np.testing.assert_array_equal(drawn[0], first.weights(1, 2))
    np.testing.assert_array_equal(drawn[1], second.weights(1, 2))
    np.testing.assert_array_equal(drawn[2], second.weights(1, 2) - first.weights(1, 2))
    norms = [panel.get_images()[0].norm for panel in figure.axes if panel.get_images()]
    assert norms[0].vmax == norms[1].vmax == max(drawn[0].max(), drawn[1].max())
    assert norms[2].vmin == -norms[2].vmax == -np.abs(drawn[2]).max()
    said = [one.get_text() for one in figure.texts]
    assert said[:2] == ["encoder: layer 1, head 2, side by side", "a/model"]
    assert said[2:4] == ["a/model, untrained (library)", "the second less the first"]


def test_only_common_tokens_have_a_difference(text_trace: Make) -> None:
    first, second = text_trace(["a", "b", "c"], None), text_trace(["b", "x", "c", "d"], None, seed=3)
    figure = side_by_side(first, second, layer=0, head=0, names=["one", "two"])
    expected = second.weights(0, 0)[np.ix_([0, 2], [0, 2])] - first.weights(0, 0)[np.ix_([1, 2], [1, 2])]
    np.testing.assert_array_equal(maps(figure)[2], expected)
    panels = [panel for panel in figure.axes if panel.get_images()]
    assert [one.get_text() for one in panels[2].get_xticklabels()] == ["b", "c"]
    assert {"one", "two"} <= {one.get_text() for one in figure.texts}


def test_a_trace_beside_itself_differs_nowhere(text_trace: Make) -> None:
    assert not maps(side_by_side(text_trace(), text_trace(), layer=0, head=0))[2].any()


def test_atlases_stand_beside_each_other(text_trace: Make, cross_trace: Make) -> None:
    figure = side_by_side(
        text_trace(), text_trace(seed=9, model="/home/someone/other"), label_heads(text_trace(seed=2))
    )
    assert [len(panel.patches) for panel in figure.axes] == [6, 6, 6]
    said = [one.get_text() for one in figure.texts]
    assert said[1] == "a/model"
    assert "someone/other" in said
    assert "table 3" in said
    assert len(side_by_side(cross_trace(), cross_trace(), stream="cross").axes) == 2


def test_what_cannot_be_compared_is_refused(text_trace: Make) -> None:
    trace = text_trace()
    with pytest.raises(TraceError, match="1 can't stand side by side: give two traces or more"):
        side_by_side(trace)
    with pytest.raises(TraceError, match="a map is of a layer and a head: give both"):
        side_by_side(trace, trace, layer=1)
    with pytest.raises(TraceError, match="of two traces: give two, and no tables"):
        side_by_side(trace, trace, trace, layer=1, head=0)
    with pytest.raises(TraceError, match="no token in common"):
        side_by_side(trace, text_trace(["x", "y"], None), layer=0, head=0)
    with pytest.raises(TraceError, match="there are 1 names for 2"):
        side_by_side(trace, trace, names=["a"])
    with pytest.raises(TraceError, match="there is no stream 'cross': there are encoder"):
        side_by_side(trace, trace, stream="cross")
