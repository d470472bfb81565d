"""One map of attention: queries downwards, keys to the right, tokens beside them."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from vitrail.trace import Axis, Trace
from vitrail.viewer.figures.about import about, roles_of
from vitrail.viewer.figures.colours import FAINT, QUIET, ink_on, sequential, weight_norm
from vitrail.viewer.figures.sheet import BAR, HEAD, LINE, MARGIN, NARROWEST, Sheet, styled, wrapped
from vitrail.viewer.figures.tokens import inches, label, texts_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize

LONGEST_SIDE = 8.5
"""Of a map, in inches."""
CELL = 0.27
"""Side of a cell of a short input, in inches: two digits fit into it."""
MOST = 1024
"""Rows and columns of a map; of a longer input, several queries and keys share a cell."""
NUMBERS = 26
"""A map of no more queries and keys than this has its numbers written in it."""
SIZE = 7.0
"""Of tokens, in points."""


def attention_map(trace: Trace, layer: int | str, head: int, stream: str | None = None) -> Figure:
    """The weights of one head.

    Of more than 1,024 positions, a cell has the attention that goes from one of its queries to all of its keys.

    Args:
        trace: the trace.
        layer: its number from 0 (from the end if negative), or its name.
        head: its number from 0.
        stream: which; may be left out where there is one.

    Raises:
        TraceError: no such stream, layer or head.
    """
    chosen = trace.stream(stream)
    found = trace.layer(layer, chosen.name)
    queries, keys = trace.layer_axes(found, chosen)
    weights, rows, columns = pooled(trace.weights(layer, head, chosen.name))
    place = numbered(trace, layer, chosen.name)
    with styled():
        across, down, cell = map_size(*weights.shape)
        left, above = room_for(queries), room_for(keys)
        norm = weight_norm(float(weights.max()))
        width = max(NARROWEST, 2 * MARGIN + left + across)
        role = wrapped(_role(trace, chosen.name, place, head), width - 2 * MARGIN)
        top = HEAD + LINE * len(role) + 0.05 + above
        sheet = Sheet(width, top + down + 0.15 + BAR + MARGIN)
        sheet.title(f"{chosen.name}: layer {place}, head {head}", about(trace), role)
        panel = sheet.panel(MARGIN + left, top, across, down)
        draw_map(panel, weights, sequential(), norm, cell)
        steps = label(panel, "x", keys, across, SIZE, columns), label(panel, "y", queries, down, SIZE, rows)
        rule(panel, queries, keys, rows, columns)
        bar = min(2.6, max(across, 1.3))
        sheet.bar(MARGIN + left, top + down + 0.15, bar, norm, "weight, square-root scale")
        sheet.write(MARGIN + left + bar + 0.25, top + down + 0.2, _notes(steps, cell), size=7, colour=QUIET)
        return sheet.figure


def _notes(steps: tuple[int, int], cell: float) -> str:
    """What the numbers are, and which tokens are named where not all are."""
    if cell:
        return "numbers: % of a row"
    named = [f"every {step}th {what}" for step, what in zip(steps, ("key", "query"), strict=True) if step > 2]
    named += [f"every second {what}" for step, what in zip(steps, ("key", "query"), strict=True) if step == 2]
    return f"named: {' and '.join(named)}" if named else ""


def pooled(
    weights: Float[np.ndarray, "q k"], most: int = MOST
) -> tuple[Float[np.ndarray, "t u"], np.ndarray, np.ndarray]:
    """The weights in at most so many rows and columns, and the first query and key of each.

    A cell is the attention from one of its queries to all of its keys, the mean over these queries, so that rows still
    sum to 1.
    """
    q, k = weights.shape
    rows, columns = (-(-np.arange(min(count, most)) * count // min(count, most)) for count in (q, k))
    if max(q, k) <= most:
        return weights, rows, columns
    summed = np.add.reduceat(np.add.reduceat(weights, columns, axis=1), rows, axis=0)
    each = np.diff(np.append(rows, q))[:, None].astype(np.float32)
    return summed / each, rows, columns


def map_size(rows: int, columns: int, longest: float = LONGEST_SIDE) -> tuple[float, float, float]:
    """Width and height of a map, in inches, and the side of a cell if numbers fit into it, else 0.

    Cells are squares, but for maps of far more keys than queries, or fewer.
    """
    cell = min(CELL, longest / max(rows, columns))
    across, down = max(columns * cell, 0.7), max(rows * cell, 0.7)
    across, down = max(across, min(down / 6, 1.5)), max(down, min(across / 6, 1.5))
    return across, down, cell if cell == CELL and max(rows, columns) <= NUMBERS else 0.0


def room_for(axis: Axis) -> float:
    """What the tokens beside a map need, in inches."""
    return inches(texts_of(axis), SIZE) + 0.1


def draw_map(
    panel: "Axes",
    weights: Float[np.ndarray, "q k"],
    colours: "Colormap",
    norm: "Normalize",
    cell: float = 0.0,
    sign: bool = False,
) -> None:
    """The cells of a map, and their numbers where these fit."""
    rows, columns = weights.shape
    # What is smaller than a dot of paper is averaged; what is larger keeps its edges, also in an SVG.
    few = max(rows, columns) <= 400
    panel.imshow(weights, cmap=colours, norm=norm, interpolation="none" if few else "auto", aspect="auto")
    panel.tick_params(length=2, pad=1.5)
    panel.spines[:].set(color=FAINT, linewidth=0.6)
    if not cell:
        return
    for row, column in np.argwhere(np.abs(weights) >= 0.005):
        value = 100 * float(weights[row, column])
        colour = to_hex(colours(float(norm(value / 100))))
        text = f"{value:+.0f}" if sign else f"{value:.0f}"
        panel.text(column, row, text, ha="center", va="center", fontsize=5.5, color=ink_on(colour))


def rule(panel: "Axes", queries: Axis, keys: Axis, rows: np.ndarray, columns: np.ndarray) -> None:
    """A line between sentence A and sentence B."""
    for axis, at, draw in ((keys, columns, panel.axvline), (queries, rows, panel.axhline)):
        if axis.segments is not None:
            for segment in range(1, int(axis.segments.max()) + 1):
                draw(
                    int(np.argmax(axis.segments[at] == segment)) - 0.5,
                    color=QUIET,
                    linewidth=0.7,
                    linestyle=(0, (4, 3)),
                )


def numbered(trace: Trace, layer: int | str, stream: str) -> int:
    """A layer's number from 0."""
    found = trace.layer(layer, stream)
    return next(place for place, one in enumerate(trace.stream(stream).layers) if one is found)


def _role(trace: Trace, stream: str, layer: int, head: int) -> str:
    """The head's role and the evidence."""
    table = roles_of(trace)
    mine = (table["stream"] == stream) & (table["layer"] == layer) & (table["head"] == head)
    row = table[mine].iloc[0]
    return f"{row['role']}: {row['evidence']}"
