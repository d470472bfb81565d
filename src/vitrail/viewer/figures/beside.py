"""Two models, or two inputs, side by side: their atlases, or one head's map in each and the difference."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from vitrail.errors import TraceError
from vitrail.trace import Trace
from vitrail.viewer.figures.about import Told, input_of, model_of, roles_of
from vitrail.viewer.figures.atlas import WIDEST, Block, cell_size, occurring
from vitrail.viewer.figures.colours import QUIET
from vitrail.viewer.figures.difference import draw_difference
from vitrail.viewer.figures.sheet import HEAD, MARGIN, NARROWEST, Sheet, rows_of_roles, styled

if TYPE_CHECKING:
    import pandas as pd

GAP = 0.35
"""Between one and the next, in inches."""


def side_by_side(
    *told: Told,
    layer: int | str | None = None,
    head: int | None = None,
    stream: str | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """Atlases of several models or inputs; with a layer and a head, that head's map in two traces and the difference.

    The difference is the second less the first, where the tokens of both align (``vitrail.trace.align``).

    Args:
        told: two or more traces; for atlases also tables of ``label_heads``, or lists of traces of one model.
        layer: a number from 0 (from the end if negative), or a name; None for atlases.
        head: its number from 0.
        stream: which; of traces with one, it may be left out.
        names: what is written over each; model and input unless given.

    Raises:
        TraceError: fewer than two, a layer without a head, no such stream, layer or head, or tokens that don't align.
    """
    if len(told) < 2:
        raise TraceError(f"{len(told)} can't stand side by side: give two traces or more.")
    if (layer is None) != (head is None):
        raise TraceError("a map is of a layer and a head: give both, or neither for the atlases.")
    titles = list(names) if names is not None else _names(told)
    if len(titles) != len(told):
        raise TraceError(f"there are {len(titles)} names for {len(told)}: give one for each.")
    with styled():
        if layer is None or head is None:
            return _atlases(told, stream, titles)
        traces = [one for one in told if isinstance(one, Trace)]
        if len(traces) != 2 or len(told) != 2:
            raise TraceError("a map and its difference are of two traces: give two, and no tables.")
        return draw_difference((traces[0], traces[1]), layer, head, stream, titles)


def _names(told: Sequence[Told]) -> list[str]:
    """What tells them apart: models where these differ, inputs where those do."""
    known = [one if isinstance(one, Trace) else one[0] if isinstance(one, Sequence) and one else None for one in told]
    models = [model_of(one) if one is not None else "" for one in known]
    inputs = [input_of(one) if one is not None else "" for one in known]
    told_models, told_inputs = (len({*one} - {""}) > 1 for one in (models, inputs))
    return [
        " · ".join(
            part for part in (model if told_models or not told_inputs else "", text if told_inputs else "") if part
        )
        or f"table {place + 1}"
        for place, (model, text) in enumerate(zip(models, inputs, strict=True))
    ]


def _atlases(told: Sequence[Told], stream: str | None, names: Sequence[str]) -> Figure:
    tables = [_part(roles_of(one), stream) for one in told]
    cell = cell_size(max(int(table["head"].max()) + 1 for table in tables), 12.0 / len(tables))
    blocks = [Block(table, cell, WIDEST / len(tables)) for table in tables]
    counts = _counts(tables)
    width = max(NARROWEST, 2 * MARGIN + sum(block.width for block in blocks) + GAP * (len(blocks) - 1))
    legend = 0.2 * rows_of_roles(width, list(counts))
    tall = max(block.height for block in blocks)
    sheet = Sheet(width, HEAD + 0.1 + tall + GAP + legend + MARGIN)
    sheet.title("What each head does, side by side")
    left = MARGIN
    for block, name in zip(blocks, names, strict=True):
        sheet.write(left, 0.43, name, size=8, colour=QUIET, room=block.width)
        block.draw(sheet, left, HEAD + 0.1)
        left += block.width + GAP
    sheet.roles(HEAD + 0.1 + tall + GAP, counts)
    return sheet.figure


def _part(table: "pd.DataFrame", stream: str | None) -> "pd.DataFrame":
    if stream is None:
        return table
    if stream not in set(table["stream"]):
        raise TraceError(f"there is no stream {stream!r}: there are {', '.join(dict.fromkeys(table['stream']))}.")
    return table[table["stream"] == stream]


def _counts(tables: Sequence["pd.DataFrame"]) -> dict[str, int]:
    """The roles of all tables, and how many heads have each."""
    total: dict[str, int] = {}
    for table in tables:
        for role, count in occurring(table).items():
            total[role] = total.get(role, 0) + count
    return dict(sorted(total.items(), key=lambda one: (one[0] == "unclear", -one[1], one[0])))
