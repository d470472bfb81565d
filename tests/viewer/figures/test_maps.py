"""One map: its cells are the trace's weights, its names the trace's tokens."""

from collections.abc import Callable

import numpy as np
import pytest

from vitrail.errors import TraceError
from vitrail.trace import Trace, label_heads
from vitrail.viewer.figures import attention_map
from vitrail.viewer.figures.maps import map_size, pooled

Make = Callable[..., Trace]


def texts(figure: object) -> list[str]:
    return [one.get_text() for one in figure.texts]  # type: ignore[attr-defined]


def test_cells_are_the_weights(text_trace: Make) -> None:
    trace = text_trace()
    panel = attention_map(trace, 1, 2).axes[0]
    (image,) = panel.get_images()
    np.testing.assert_array_equal(image.get_array(), trace.weights(1, 2))
    assert image.norm.vmax == trace.weights(1, 2).max()
    assert [one.get_text() for one in panel.get_xticklabels()] == [
        "[CLS]",
        "i",
        "·was",
        "·here",
        "[SEP]",
        "you",
        "[SEP]",
    ]
    assert panel.yaxis_inverted()


def test_rows_are_queries_and_columns_keys(cross_trace: Make) -> None:
    trace = cross_trace()
    panel = attention_map(trace, "c.1", 0, "cross").axes[0]
    np.testing.assert_array_equal(panel.get_images()[0].get_array(), trace.weights(1, 0, "cross"))
    assert [one.get_text() for one in panel.get_yticklabels()] == ["[START]", "·s1", "·s2", "·t", "·s9"]
    assert len(panel.get_xticklabels()) == 11


def test_numbers_are_written_where_they_fit(text_trace: Make) -> None:
    trace = text_trace()
    panel = attention_map(trace, 0, 1).axes[0]
    written = {tuple(map(int, one.get_position())): one.get_text() for one in panel.texts}
    weights = trace.weights(0, 1)
    assert written == {
        (column, row): f"{100 * weights[row, column]:.0f}" for row, column in np.argwhere(weights >= 0.005)
    }
    assert not attention_map(text_trace([f"w{place}" for place in range(53)], None), 0, 1).axes[0].texts


def test_the_title_says_what_is_drawn(text_trace: Make) -> None:
    trace = text_trace()
    said = texts(attention_map(trace, -1, 2))
    assert said[0] == "encoder: layer 1, head 2"
    assert said[1] == "a/model · “i was here” + “you”"
    assert "".join(said[2:4]).startswith(label_heads(trace)["role"][5])
    assert any("square-root scale" in one.get_title(loc="left") for one in attention_map(trace, 0, 0).axes)


def test_a_line_stands_before_the_second_sentence(text_trace: Make) -> None:
    panel = attention_map(text_trace(), 0, 0).axes[0]
    assert sorted((list(line.get_xdata()), list(line.get_ydata())) for line in panel.lines) == [
        ([0, 1], [4.5, 4.5]),
        ([4.5, 4.5], [0, 1]),
    ]
    assert not attention_map(text_trace(segments=None), 0, 0).axes[0].lines


def test_one_token_has_a_map(text_trace: Make) -> None:
    panel = attention_map(text_trace(["a"], None), 0, 0).axes[0]
    np.testing.assert_array_equal(panel.get_images()[0].get_array(), [[1.0]])


def test_what_is_not_there_is_refused(text_trace: Make, cross_trace: Make) -> None:
    with pytest.raises(TraceError, match=r"no head 3: it has 3, counted from 0"):
        attention_map(text_trace(), 0, 3)
    with pytest.raises(TraceError, match="there is no layer 2"):
        attention_map(text_trace(), 2, 0)
    with pytest.raises(TraceError, match="no stream was named: this trace has encoder, decoder, cross"):
        attention_map(cross_trace(), 0, 0)


def test_long_maps_share_cells_and_keep_the_mass() -> None:
    weights = np.random.default_rng(0).random((23, 31)).astype(np.float32)
    weights /= weights.sum(1, keepdims=True)
    small, rows, columns = pooled(weights, 7)
    assert small.shape == (7, 7)
    for row, column in np.ndindex(7, 7):
        queries = [i for i in range(23) if i * 7 // 23 == row]
        keys = [j for j in range(31) if j * 7 // 31 == column]
        assert small[row, column] == pytest.approx(weights[np.ix_(queries, keys)].sum() / len(queries), rel=1e-5)
        assert (rows[row], columns[column]) == (queries[0], keys[0])
    np.testing.assert_allclose(small.sum(1), 1, rtol=1e-5)
    same, rows, columns = pooled(weights, 31)
    assert same is weights
    assert (len(rows), len(columns)) == (23, 31)


def test_a_long_text_names_some_tokens_and_says_so(text_trace: Make) -> None:
    figure = attention_map(text_trace([f"w{place}" for place in range(211)], None), 0, 0)
    assert len(figure.axes[0].get_xticklabels()) < 80
    assert "named: every 5th key and every 5th query" in texts(figure)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 400), (400, 1), (16, 16), (3000, 17), (1024, 1024)])
def test_a_map_fits_on_a_page(rows: int, columns: int) -> None:
    across, down, cell = map_size(rows, columns)
    assert 0.2 < across < 9
    assert 0.2 < down < 9
    assert bool(cell) == (max(rows, columns) <= 26)
