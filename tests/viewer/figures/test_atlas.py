"""The atlas: a cell a head, coloured and named by its role."""

from collections.abc import Callable

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from vitrail.errors import TraceError
from vitrail.trace import Trace, label_heads
from vitrail.viewer.figures import head_atlas
from vitrail.viewer.figures.colours import UNKNOWN, role_colour

Make = Callable[..., Trace]
ROWS = [
    ("encoder", 0, 0, "previous token", 0.93, ""),
    ("encoder", 0, 1, "unclear", 0.31, "first token"),
    ("encoder", 1, 0, "unclear", float("nan"), ""),
    ("encoder", 1, 1, "broad", 1.0, ""),
]


def table(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["stream", "layer", "head", "role", "score", "nearest"])


def cells(figure: Figure) -> dict[str, str]:
    return {patch.get_gid(): to_hex(patch.get_facecolor()) for panel in figure.axes for patch in panel.patches}


def inside(figure: Figure) -> dict[tuple[int, int], list[str]]:
    """Layer and head → what is written in the cell."""
    found: dict[tuple[int, int], list[str]] = {}
    for one in figure.axes[0].texts:
        x, y = one.get_position()
        if x > 0 and y > 0:
            found.setdefault((int(y), int(x)), []).append(one.get_text())
    return found


def test_cells_are_coloured_and_named_by_their_role() -> None:
    figure = head_atlas(table(ROWS))
    assert cells(figure) == {
        "0.0": role_colour("previous token", 0.93),
        "0.1": UNKNOWN,
        "1.0": UNKNOWN,
        "1.1": role_colour("broad", 1.0),
    }
    assert inside(figure) == {(0, 0): ["prev", ".93"], (0, 1): ["first", ".31"], (1, 1): ["broad", "1.00"]}


def test_the_legend_has_the_roles_that_occur() -> None:
    said = [one.get_text() for one in head_atlas(table(ROWS)).texts]
    assert said[-3:] == ["broad (1)", "previous token (1)", "unclear (2)"]


def test_a_trace_and_its_table_give_the_same_atlas(cross_trace: Make) -> None:
    trace = cross_trace()
    figure = head_atlas(trace)
    assert len(figure.axes) == 3
    assert [len(panel.patches) for panel in figure.axes] == [3, 3, 6]
    assert cells(figure) == cells(head_atlas(label_heads(trace))) == cells(head_atlas([trace]))
    assert {"encoder", "decoder", "cross"} <= {one.get_text() for one in figure.texts}


def test_many_heads_have_scores_alone() -> None:
    rows = [("s", layer, head, "first token", 0.5, "") for layer in range(2) for head in range(31)]
    assert inside(head_atlas(table(rows)))[1, 30] == [".50"]


def test_a_table_of_something_else_is_refused() -> None:
    with pytest.raises(
        TraceError, match=r"a table with stream, layer, head, role, score is needed, .* has stream, layer"
    ):
        head_atlas(pd.DataFrame({"stream": ["s"], "layer": [0]}))
    with pytest.raises(TraceError, match="this one of 0 heads"):
        head_atlas(table([]))
    with pytest.raises(TraceError, match="no traces to score"):
        head_atlas([])
