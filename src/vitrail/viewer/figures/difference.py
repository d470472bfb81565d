"""One head's map in two traces, and the second less the first where their tokens align."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from vitrail.errors import TraceError
from vitrail.trace import Axis, Trace, align
from vitrail.viewer.figures.colours import QUIET, sequential, signed, signed_norm, weight_norm
from vitrail.viewer.figures.maps import SIZE, draw_map, map_size, numbered, pooled, room_for, rule
from vitrail.viewer.figures.sheet import BAR, HEAD, MARGIN, Sheet
from vitrail.viewer.figures.tokens import label

SIDE, NARROWEST, GAP = 4.6, 2.0, 0.35
"""Of a map at most; of the room that each has at least; and between these, in inches."""


@dataclass(frozen=True, eq=False)
class _Map:
    """Weights, what they stand between, and which positions of these."""

    weights: Float[np.ndarray, "q k"]
    queries: Axis
    keys: Axis
    rows: Int[np.ndarray, " q"]
    columns: Int[np.ndarray, " k"]


def draw_difference(
    traces: tuple[Trace, Trace], layer: int | str, head: int, stream: str | None, names: Sequence[str]
) -> Figure:
    """Three maps in a row.

    Raises:
        TraceError: no such stream, layer or head, or inputs with nothing in common.
    """
    first, second = (_map(trace, layer, head, stream) for trace in traces)
    maps = [first, second, _between(first, second)]
    chosen = traces[0].stream(stream).name
    sizes = [map_size(len(one.rows), len(one.columns), SIDE) for one in maps]
    lefts = [room_for(one.queries) for one in maps]
    rooms = [max(across, NARROWEST) for across, _, _ in sizes]
    top = HEAD + 0.05 + max(room_for(one.keys) for one in maps)
    down = max(high for _, high, _ in sizes)
    sheet = Sheet(2 * MARGIN + sum(lefts) + sum(rooms) + 2 * GAP, top + down + 0.15 + BAR + MARGIN)
    sheet.title(f"{chosen}: layer {numbered(traces[0], layer, chosen)}, head {head}, side by side")
    together = weight_norm(max(float(one.weights.max()) for one in maps[:2]))
    apart = signed_norm(float(np.abs(maps[2].weights).max()))
    left = MARGIN
    for place, one in enumerate(maps):
        said = names[place] if place < 2 else "the second less the first"
        sheet.write(left, 0.43, said, size=8, colour=QUIET, room=lefts[place] + rooms[place])
        left += lefts[place]
        norm = together if place < 2 else apart
        _draw(sheet, (left, top), sizes[place], one, norm, sign=place == 2)
        name = "weight" if place < 2 else "difference of weights"
        under = top + sizes[place][1] + 0.15
        sheet.bar(left, under, min(2.6, rooms[place]), norm, f"{name}, square-root scale", sign=place == 2)
        left += rooms[place] + GAP
    return sheet.figure


def _map(trace: Trace, layer: int | str, head: int, stream: str | None) -> _Map:
    chosen = trace.stream(stream)
    queries, keys = trace.layer_axes(trace.layer(layer, chosen.name), chosen)
    weights = trace.weights(layer, head, chosen.name)
    return _Map(weights, queries, keys, np.arange(queries.length), np.arange(keys.length))


def _between(first: _Map, second: _Map) -> _Map:
    """The second less the first; its tokens are those of the first."""
    rows, columns = align(first.queries, second.queries), align(first.keys, second.keys)
    if not len(rows.first) or not len(columns.first):
        raise TraceError("the two inputs have no token in common, so there is no difference: draw each by itself.")
    mine = first.weights[np.ix_(rows.first, columns.first)]
    theirs = second.weights[np.ix_(rows.second, columns.second)]
    return _Map(theirs - mine, first.queries, first.keys, rows.first, columns.first)


def _draw(
    sheet: Sheet,
    corner: tuple[float, float],
    size: tuple[float, float, float],
    one: _Map,
    norm: Normalize,
    *,
    sign: bool,
) -> None:
    across, down, cell = size
    weights, rows, columns = pooled(one.weights)
    panel = sheet.panel(*corner, across, down)
    draw_map(panel, weights, signed() if sign else sequential(), norm, cell, sign=sign)
    label(panel, "x", one.keys, across, SIZE, one.columns[columns])
    label(panel, "y", one.queries, down, SIZE, one.rows[rows])
    rule(panel, one.queries, one.keys, one.rows[rows], one.columns[columns])
