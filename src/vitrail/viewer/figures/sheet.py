"""A sheet of paper: panels and texts laid out in inches from its top left, so that cells stay square and texts fit."""

import textwrap
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import matplotlib.style
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vitrail.viewer.figures.colours import FAINT, INK, PAPER, QUIET, role_colour, sequential, signed, ticks_to
from vitrail.viewer.figures.tokens import SANS, Weight, clipped, families, inches, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.text import Text

MARGIN = 0.3
"""Around everything, in inches."""
HEAD = 0.68
"""Height of a title and of the line under it."""
LINE = 0.17
"""Height of each further line."""
BAR = 0.42
"""Height of a bar of colours with its numbers and its name."""
NARROWEST = 6.4
"""Width of a sheet: less has no room for its title."""

STYLE: Mapping[str, Any] = {
    "text.usetex": False,
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "font.family": [SANS],
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.facecolor": PAPER,
    "axes.labelcolor": QUIET,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "image.composite_image": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "vitrail",
}
"""What differs from matplotlib's own settings; a user's aren't asked, and no text is mathematics."""


def styled() -> AbstractContextManager[None]:
    """While a figure is made or written."""
    return matplotlib.style.context(["default", dict(STYLE)])


class Sheet:
    """A figure of so many inches."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=150, facecolor=PAPER)

    def panel(self, left: float, top: float, width: float, height: float) -> "Axes":
        """A panel whose top left is there."""
        box = left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height
        return self.figure.add_axes(box)

    def write(
        self,
        left: float,
        top: float,
        text: str,
        *,
        size: float = 8,
        colour: str = INK,
        weight: Weight = "normal",
        align: str = "left",
        room: float | None = None,
    ) -> "Text":
        """A line of text, cut where it would leave the sheet (or its room)."""
        room = (self.width - MARGIN - left) if room is None else room
        drawn = clipped(plain(text, weight), fitting(room, size))
        return self.figure.text(
            left / self.width,
            1 - top / self.height,
            drawn,
            va="top",
            ha=align,
            fontsize=size,
            color=colour,
            weight=weight,
            family=families(SANS),
            parse_math=False,
        )

    def title(self, title: str, below: str = "", more: Sequence[str] = ()) -> None:
        """What the figure shows, of what, and lines of more."""
        self.write(MARGIN, 0.2, title, size=11, weight="bold")
        for place, line in enumerate(one for one in (below, *more) if one):
            self.write(MARGIN, 0.43 + LINE * place, line, size=8, colour=QUIET)

    def bar(self, left: float, top: float, width: float, norm: "Normalize", name: str, *, sign: bool = False) -> None:
        """What colours mean: a bar of them with numbers below, and its name above; its top left is that of the name."""
        panel = self.panel(left, top + 0.16, width, 0.1)
        above = ticks_to(float(norm.vmax or 1), (0.64 if sign else 0.27) / width)
        ticks = [*(-one for one in above[:0:-1]), *above] if sign else above
        colours = self.figure.colorbar(
            ScalarMappable(norm, signed() if sign else sequential()), cax=panel, orientation="horizontal"
        )
        colours.set_ticks(ticks, labels=[_number(one) for one in ticks])
        colours.ax.minorticks_off()
        colours.outline.set(linewidth=0.5, edgecolor=FAINT)
        panel.tick_params(labelsize=6.5, pad=1.5)
        panel.set_title(name, fontsize=7, color=QUIET, loc="left", pad=3)

    def roles(self, top: float, counts: Mapping[str, int]) -> float:
        """A legend of roles, and how many heads have each, in as many rows as they need; the height of these."""
        left, row = MARGIN, 0
        for role, count in counts.items():
            text = f"{role} ({count})"
            needed = 0.2 + inches([text], 7.5) + 0.15
            if left + needed > self.width - MARGIN and left > MARGIN:
                left, row = MARGIN, row + 1
            self.swatch(left, top + 0.2 * row, role_colour(role))
            self.write(left + 0.19, top + 0.2 * row, text, size=7.5)
            left += needed
        return 0.2 * (row + 1)

    def swatch(self, left: float, top: float, colour: str) -> None:
        """A small square of a colour."""
        at = left / self.width, 1 - (top + 0.115) / self.height
        box = Rectangle(at, 0.12 / self.width, 0.12 / self.height, transform=self.figure.transFigure, linewidth=0)
        box.set_facecolor(colour)
        self.figure.add_artist(box)


def fitting(room: float, size: float) -> int:
    """How many letters of a text fit into so many inches, on average."""
    return max(4, int(room / (0.54 * size / 72)))


def wrapped(text: str, room: float, size: float = 8, most: int = 2) -> list[str]:
    """A text in at most so many lines that fit; the last is cut where it doesn't."""
    lines = textwrap.wrap(plain(text), fitting(room, size))
    return [*lines[: most - 1], " ".join(lines[most - 1 :])] if len(lines) > most else lines


def rows_of_roles(width: float, roles: Sequence[str]) -> int:
    """How many rows a legend of roles needs at most on a sheet of this width."""
    rows, left = 1, 0.0
    for role in roles:
        needed = 0.35 + inches([f"{role} (000)"], 7.5)
        if left + needed > width - 2 * MARGIN and left:
            rows, left = rows + 1, 0.0
        left += needed
    return rows


def bare(panel: "Axes") -> None:
    """A panel without ticks and frame."""
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(False)


def _number(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}"
