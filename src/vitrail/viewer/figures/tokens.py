"""Tokens as they are drawn: a dot for a leading space, names for what has no picture, and no more than fit.

What a figure is asked to draw comes from anywhere: control characters, texts from right to left, emoji. Whatever no
installed font has is drawn as its number, ``U+1F9A5``, so that drawing never fails and no two tokens look alike by it.
Nothing is read as mathematics: a ``$`` is one.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font

from vitrail.trace import Axis
from vitrail.viewer.figures.colours import INK, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MONO, SANS = "DejaVu Sans Mono", "DejaVu Sans"
"""Fonts that matplotlib brings along."""

OTHERS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans",
    "Hiragino Sans",
    "PingFang SC",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "WenQuanYi Zen Hei",
    "Noto Sans",
    "Segoe UI Emoji",
    "Noto Emoji",
    "Symbola",
)
"""Fonts that know what those two don't, where they are installed."""

LONGEST = 16
"""Characters of a token, at most."""

Weight = Literal["normal", "bold"]

_NAMED = {"\n": "⏎", "\r": "⏎", "\t": "⇥"}
_ADVANCE = 0.602
"""Width of a character of the monospaced font, in its size."""


@cache
def families(first: str = MONO) -> list[str]:
    """The fonts that are drawn with, in the order in which they are asked for a character."""
    installed = set(fontManager.get_font_names())
    return [first, *(name for name in (MONO, SANS, *OTHERS) if name in installed and name != first)]


@cache
def _drawable(weight: Weight) -> frozenset[int]:
    fonts = (FT2Font(findfont(FontProperties(family=name, weight=weight))) for name in families())
    return frozenset().union(*(font.get_charmap() for font in fonts))


def plain(text: str, weight: Weight = "normal") -> str:
    """A text of which every character can be drawn, in one line; bold fonts have fewer."""
    return "".join(_character(one, weight) for one in text)


def _character(one: str, weight: Weight) -> str:
    if one in _NAMED:
        return _NAMED[one]
    kind = unicodedata.category(one)
    if kind in ("Zs", "Zl", "Zp"):
        return " "
    return f"U+{ord(one):04X}" if kind.startswith("C") or ord(one) not in _drawable(weight) else one


def shown(text: str, longest: int = LONGEST) -> str:
    """A token: "·" for each leading space, "∅" for an empty one, and an ellipsis where it is too long."""
    drawn = plain(text)
    inner = drawn.lstrip(" ")
    drawn = "·" * (len(drawn) - len(inner)) + inner
    if text and unicodedata.category(text[0]).startswith("M"):
        drawn = "◌" + drawn  # a mark that stands on the character before it
    return clipped(drawn or "∅", longest)


def clipped(text: str, longest: int) -> str:
    """At most so many characters of a text, the last an ellipsis where there were more."""
    return text if len(text) <= longest else text[: max(1, longest - 1)] + "…"


def texts_of(axis: Axis) -> list[str]:
    """What stands at each position, as it is drawn; its number where no text is known."""
    if axis.texts is None:
        return [str(place) for place in range(axis.length)]
    return [shown(text) for text in axis.texts]


def inches(texts: Sequence[str], size: float) -> float:
    """How wide the longest of some texts is in the monospaced font."""
    columns = max((sum(_columns(one) for one in text) for text in texts), default=0)
    return columns * _ADVANCE * size / 72


def _columns(one: str) -> int:
    return 2 if unicodedata.east_asian_width(one) in "WF" else 1


def thinned(count: int, room: float, size: float) -> int:
    """Every how many-th of so many labels is drawn, so that these fit along so many inches."""
    fits = max(1, int(room / (1.3 * size / 72)))
    step, power = 1, 1
    while -(-count // (step * power)) > fits:
        step, power = (step + 1 if step < 2 else 5, power) if step < 5 else (1, 10 * power)
    return step * power


def label(
    panel: "Axes", side: Literal["x", "y"], axis: Axis, room: float, size: float = 7, places: np.ndarray | None = None
) -> int:
    """Write tokens along a side of a map; what the model added is paler. Every how many-th was written.

    Args:
        panel: a map, whose cells are one unit wide.
        side: keys above (x), or queries to the left (y).
        axis: what stands there.
        room: length of that side, in inches.
        size: of the letters, in points.
        places: which positions of the axis the cells are; all of them unless given.
    """
    at = np.arange(axis.length) if places is None else places
    step = thinned(len(at), room, size)
    every, texts = range(0, len(at), step), texts_of(axis)
    special = np.zeros(axis.length, bool) if axis.special is None else axis.special
    ticks = panel.xaxis if side == "x" else panel.yaxis
    ticks.set_ticks(list(every), [texts[at[place]] for place in every])
    if side == "x":
        panel.tick_params(axis="x", top=True, labeltop=True, bottom=False, labelbottom=False, rotation=90)
    for place, written in zip(every, ticks.get_ticklabels(), strict=True):
        written.set(
            parse_math=False,
            family=families(),
            fontsize=size,
            color=QUIET if special[at[place]] else INK,
        )
    return step
