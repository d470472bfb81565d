"""Scores by layer: dots, means and dashes are the table's numbers."""

from collections.abc import Callable

import numpy as np
import pytest

from vitrail.errors import TraceError
from vitrail.trace import Trace, head_scores
from vitrail.viewer.figures import scores_by_layer

Make = Callable[..., Trace]


def lines(panel: object, gid: str) -> list[tuple[np.ndarray, np.ndarray]]:
    return [one.get_data() for one in panel.lines if one.get_gid() == gid]  # type: ignore[attr-defined]


def test_dots_are_heads_and_the_line_is_their_mean(text_trace: Make) -> None:
    trace = text_trace()
    figure = scores_by_layer(trace, ["entropy", "first"])
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["entropy", "first"]
    table = head_scores(trace)
    for panel, name in zip(figure.axes, ("entropy", "first"), strict=True):
        ((layers, values),) = lines(panel, "heads")
        np.testing.assert_array_equal(layers, table["layer"])
        np.testing.assert_allclose(values, table[name])
        ((_, means),) = lines(panel, "mean")
        np.testing.assert_allclose(means, [table[name][:3].mean(), table[name][3:].mean()])
    ((_, alike),) = lines(figure.axes[1], "uniform")
    np.testing.assert_allclose(alike, [1 / 7, 1 / 7], rtol=1e-6)
    ((_, alike),) = lines(figure.axes[0], "uniform")
    np.testing.assert_allclose(alike, np.log([7, 7]), rtol=1e-6)


def test_all_scores_of_the_input_are_drawn(cross_trace: Make) -> None:
    trace = cross_trace()
    figure = scores_by_layer(trace)
    table = head_scores(trace)
    assert [one.get_title(loc="left") for one in figure.axes] == [
        name for name in table.columns[3:] if table[name].notna().any()
    ]
    entropy = figure.axes[0]
    assert len(lines(entropy, "mean")) == 3
    assert {"encoder", "decoder", "cross"} <= {one.get_text() for one in figure.texts}


def test_a_table_has_no_dashed_line(text_trace: Make) -> None:
    figure = scores_by_layer(head_scores(text_trace()), ["first"])
    assert lines(figure.axes[0], "uniform") == []
    assert not any("uniform" in one.get_text() for one in figure.texts)


def test_several_traces_have_intervals(text_trace: Make) -> None:
    traces = [text_trace(seed=seed) for seed in range(3)]
    panel = scores_by_layer(traces, ["first"]).axes[0]
    (bars,) = panel.collections
    table = head_scores(traces)
    ends = np.array([bar[:, 1] for bar in bars.get_segments()])
    np.testing.assert_allclose(ends, table[["first low", "first high"]])


def test_an_unknown_score_is_refused(text_trace: Make) -> None:
    with pytest.raises(TraceError, match=r"no score 'pixels' of this input: there are entropy, broadness"):
        scores_by_layer(text_trace(), ["pixels"])
