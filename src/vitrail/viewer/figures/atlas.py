"""The atlas of heads: a cell for each, coloured and named by its role, with the score that the name rests on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vitrail.viewer.figures.about import Told, about, roles_of
from vitrail.viewer.figures.colours import INK, QUIET, ink_on, role_colour
from vitrail.viewer.figures.sheet import HEAD, MARGIN, NARROWEST, Sheet, bare, rows_of_roles, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SHORT: Mapping[str, str] = {
    "previous token": "prev",
    "next token": "next",
    "own token": "self",
    "first token": "first",
    "separator": "sep",
    "punctuation": "punct",
    "duplicate token": "dup",
    "induction": "induct",
    "other sentence": "other",
    "same token": "same",
    "copying": "copy",
    "aligned": "align",
    "broad": "broad",
    "local": "local",
}
"""What is written in a cell; nothing in an unclear one."""

ROWS, COLUMNS, NAME, GAP = 0.44, 0.2, 0.18, 0.3
"""Room for numbers of layers, for those of heads, for the name of a stream, and between streams, in inches."""
WIDEST = 11.0
"""Streams stand in a row while they aren't wider together."""


def head_atlas(told: Told) -> Figure:
    """Every head of every layer by its role; paler where less of its attention goes there, grey where it is unclear.

    In a grey cell stands the role that it is nearest to, and how much of its attention goes there.

    Args:
        told: a trace, several of one model, or the table that ``label_heads`` makes of these.

    Raises:
        TraceError: a table of something else.
    """
    table = roles_of(told)
    with styled():
        size = cell_size(int(table["head"].max()) + 1)
        counts = occurring(table)
        block = Block(table, size)
        width = max(NARROWEST, 2 * MARGIN + block.width)
        legend = 0.2 * rows_of_roles(width, list(counts))
        sheet = Sheet(width, HEAD + 0.1 + block.height + GAP + legend + MARGIN)
        sheet.title("What each head does", about(told))
        block.draw(sheet, MARGIN, HEAD + 0.1)
        sheet.roles(HEAD + 0.1 + block.height + GAP, counts)
        return sheet.figure


class Block:
    """The streams of a table beside each other, or under each other where that would be too wide.

    Args:
        table: of roles.
        size: width and height of a cell, in inches.
        widest: what it may be, in inches.
    """

    def __init__(self, table: "pd.DataFrame", size: tuple[float, float], widest: float = WIDEST) -> None:
        self._cell = size
        parts = [(str(name), part) for name, part in table.groupby("stream", sort=False)]
        above = COLUMNS + (NAME if len(parts) > 1 else 0.0)
        sizes = [
            (ROWS + size[0] * (int(part["head"].max()) + 1), above + size[1] * (int(part["layer"].max()) + 1))
            for _, part in parts
        ]
        row = sum(across for across, _ in sizes) + GAP * (len(sizes) - 1) <= widest
        self._placed: list[tuple[float, float, str, pd.DataFrame]] = []
        left = top = 0.0
        for (name, part), (across, down) in zip(parts, sizes, strict=True):
            self._placed.append((left, top, name if len(parts) > 1 else "", part))
            left, top = (left + across + GAP, top) if row else (left, top + down + GAP)
        self.width = left - GAP if row else max(across for across, _ in sizes)
        self.height = max(down for _, down in sizes) if row else top - GAP

    def draw(self, sheet: Sheet, left: float, top: float) -> None:
        """Draw it with its top left there."""
        for across, down, name, part in self._placed:
            _draw(sheet, left + across, top + down, part, self._cell, name)


FADED = "#8d909b"
"""Of what is written in an unclear cell."""


def cell_size(heads: int, room: float = 11.0) -> tuple[float, float]:
    """Width and height of a cell, in inches, so that so many fit."""
    across = min(0.62, max(0.3, room / heads))
    return across, min(0.4, 0.8 * across)


def occurring(table: "pd.DataFrame") -> dict[str, int]:
    """The roles that occur and how often; the unclear last."""
    counts: dict[str, int] = {str(role): int(count) for role, count in table["role"].value_counts().items()}
    return dict(sorted(counts.items(), key=lambda one: (one[0] == "unclear", -one[1], one[0])))


def _draw(
    sheet: Sheet, left: float, top: float, table: "pd.DataFrame", cell: tuple[float, float], name: str = ""
) -> None:
    """The heads of one stream, its name and their numbers above, those of layers beside."""
    across, down = cell
    layers, heads = int(table["layer"].max()) + 1, int(table["head"].max()) + 1
    if name:
        sheet.write(left, top, name, size=8.5, weight="bold", room=ROWS + across * heads)
    above = top + COLUMNS + (NAME if name else 0.0)
    panel = sheet.panel(left + ROWS, above, across * heads, down * layers)
    bare(panel)
    panel.set(xlim=(0, heads), ylim=(layers, 0))
    nearest = table["nearest"] if "nearest" in table.columns else [""] * len(table)
    for layer, head, role, score, near in zip(
        table["layer"], table["head"], table["role"], table["score"], nearest, strict=True
    ):
        _draw_cell(panel, (int(layer), int(head)), str(role), float(score), across, str(near))
    _number(panel, heads, layers, across)


def _draw_cell(panel: "Axes", place: tuple[int, int], role: str, score: float, across: float, nearest: str) -> None:
    layer, head = place
    colour = role_colour(role, score)
    box = Rectangle((head + 0.03, layer + 0.04), 0.94, 0.92, facecolor=colour, linewidth=0)
    box.set_gid(f"{layer}.{head}")
    panel.add_patch(box)
    named = nearest if role == "unclear" else role
    if named not in SHORT or score != score or (role == "unclear" and across < 0.5):
        return
    number = f"{score:.2f}".removeprefix("0")
    lines = [(0.34, SHORT[named]), (0.7, number)] if across >= 0.5 else [(0.5, number)]
    for down, line in lines:
        panel.text(
            head + 0.5,
            layer + down,
            line,
            ha="center",
            va="center_baseline",
            fontsize=7 if across >= 0.5 else 6,
            color=FADED if role == "unclear" else ink_on(colour),
        )


def _number(panel: "Axes", heads: int, layers: int, across: float) -> None:
    """Numbers of heads above, of layers to the left, and which of these are which."""
    for head in range(heads):
        panel.text(head + 0.5, -0.12, str(head), ha="center", va="bottom", fontsize=7.5, color=INK)
    for layer in range(layers):
        panel.text(-0.09 / across, layer + 0.5, str(layer), ha="right", va="center", fontsize=7.5, color=INK)
    panel.text(-0.09 / across, -0.12, "head", ha="right", va="bottom", fontsize=7, color=QUIET)
    panel.text(-0.36 / across, layers / 2, "layer", ha="center", va="center", rotation=90, fontsize=7, color=QUIET)
